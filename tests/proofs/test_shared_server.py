"""A team's store: PostgreSQL behind `mlflow server`, and two machines that sweep at once.

One of them is killed and goes on, and the server with its database crashes in the middle.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.conftest import PLAIN
from tests.proofs.hosts import Host, can_play_hosts
from tests.proofs.points import require_every_point
from tests.proofs.postgres import postgres_programs
from tests.proofs.shared_server import SharedServer, shared_server
from transfer.tracking.store import experiment_id

SEED = int(os.environ.get("PROOF_SEED", "20261125"))
DOWN_S = 10
EPOCHS, ITERATIONS = 2, 4
# Two models, frozen first or not, and three seeds of each machine's own.
JOBS = 12
COMMAND = (
    *("-m", "model=simple_cnn,lenet", *PLAIN[1:], "freeze_epochs=0,1", f"epochs={EPOCHS}"),
    *("data.train_per_class=10", "batch_size=25"),
    # A server that starts on a busy machine takes its time.
    "tracking.patience_s=900",
)

pytestmark = [
    pytest.mark.skipif(postgres_programs() is None, reason="needs PostgreSQL (apt-get install)"),
    pytest.mark.skipif(not can_play_hosts(), reason="needs namespaces: Linux, as root"),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedServer]:
    with shared_server(tmp_path_factory.mktemp("server")) as shared:
        yield shared


@pytest.mark.parametrize("turn", [1, 2])
def test_two_machines_at_once(
    tmp_path: Path, shared: SharedServer, monkeypatch: pytest.MonkeyPatch, turn: int
) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", f"turn{turn}")
    chance = random.Random(SEED + turn)
    print(f"\nseed {SEED}, turn {turn}")
    begin = time.monotonic()
    address = shared.server.address
    one, other, desk = (Host(tmp_path / name, address) for name in ("one", "other", "desk"))
    all_folders = {one.folder, other.folder, desk.folder, shared.folder}
    places = {each: sorted(all_folders - {each.folder}) for each in (one, other, desk)}
    steady = one.start("train.py", *COMMAND, "seed=0,1,2", hidden=places[one])
    command = (*COMMAND, "seed=3,4,5")
    doomed = other.start("train.py", *command, hidden=places[other])
    try:
        doomed.wait_for_epoch(chance.randint(1, JOBS * EPOCHS // 2))
        doomed.kill()
        before = doomed.epochs
        crash_at = max(steady.epochs + 1, chance.randint(4, JOBS * EPOCHS // 2))
        steady.wait_for_epoch(crash_at)
        shared.crash()
        time.sleep(DOWN_S)
        shared.start_again()
        again = other.start("train.py", *command, "resume=true", hidden=places[other])
        assert again.wait() == 0, again.output
        assert steady.wait() == 0, steady.output
    finally:
        steady.kill()
        doomed.kill()
    assert "Traceback" not in steady.output + again.output
    report = desk.start("experiments/report.py", "sweep=all", hidden=places[desk])
    assert report.wait() == 0, report.output
    points, hosts = _require_whole(shared.client)
    assert hosts == {"one", "other"}
    table = pd.read_csv(desk.project / "report" / "report.csv")
    assert list(table["replicates"]) == [6] * 4
    print(table[["model", "freeze_epochs", "replicates", "test/acc"]].to_string())
    print(
        f"killed after {before} epochs, the server down for {DOWN_S} s after epoch {crash_at} of "
        f"the other: {2 * JOBS} runs FINISHED, {points} points, none missing, none double; "
        f"{time.monotonic() - begin:.0f} s"
    )


def _require_whole(client: MlflowClient) -> tuple[int, set[str]]:
    """Assert that both sweeps are there with all of their jobs, once.

    Returns:
        how many points, and the names of the machines.
    """
    runs = client.search_runs([experiment_id(client)])
    assert {run.info.status for run in runs} == {"FINISHED"}
    jobs = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(jobs) == 2 * JOBS and len(runs) == 2 * JOBS + 2
    assert len({run.data.tags["transfer.fingerprint"] for run in jobs}) == 2 * JOBS
    points = sum(require_every_point(client, run, EPOCHS, ITERATIONS) for run in jobs)
    return points, {run.data.tags["transfer.host"] for run in jobs}
