"""What a team's server takes: a thousand runs that eight workers log at once, nothing lost."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text

from tests.conftest import ROOT
from tests.proofs.log_runs import POINTS
from tests.proofs.postgres import postgres_programs
from tests.proofs.shared_server import shared_server
from transfer.config.schema import KEYS
from transfer.tracking.store import open_store

RUNS, WORKERS = int(os.environ.get("PROOF_RUNS", "1000")), 8

pytestmark = pytest.mark.skipif(postgres_programs() is None, reason="needs PostgreSQL")


def test_a_thousand_runs_of_eight_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with shared_server(tmp_path, workers=4) as shared:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", shared.server.address)
        open_store(shared.server.address)
        begin, busy = time.monotonic(), shared.cpu_seconds()
        told = _log(tmp_path / "runs", RUNS // WORKERS)
        seconds, busy = time.monotonic() - begin, shared.cpu_seconds() - busy
        with create_engine(shared.database.uri).connect() as database:
            assert _counts(database, "metrics", "(key, step)") == [(POINTS, POINTS, RUNS)]
            assert _counts(database, "params", "key") == [(len(KEYS), len(KEYS), RUNS)]
            statuses = database.execute(text("SELECT DISTINCT status FROM runs"))
            assert list(statuses) == [("FINISHED",)]
        artifacts = list(shared.folder.glob("artifacts/*/*/artifacts/config.yaml"))
        assert len(artifacts) == RUNS
    epochs = sorted(each for worker in told for each in worker["epochs"])
    of_workers = sum(worker["cpu"] for worker in told)
    median, late = statistics.median(epochs), epochs[len(epochs) * 99 // 100]
    rate = RUNS * POINTS / seconds
    print(
        f"\n{RUNS} runs, {RUNS * POINTS} points, none missing, none double: {seconds:.0f} s, "
        f"{rate:.0f} points/s ({1000 / rate:.1f} ms each); those of an epoch were there after "
        f"{median:.2f} s (median), {late:.2f} s (99 of 100); processor time of a run: "
        f"{busy / RUNS:.2f} s of the server, {of_workers / RUNS:.2f} s of its worker"
    )


def _log(folder: Path, each: int) -> list[dict[str, object]]:
    """What the workers tell of the runs that they have logged, so many each."""
    program = [sys.executable, "-m", "tests.proofs.log_runs", str(folder)]
    workers = [
        subprocess.Popen(
            [*program, f"{number * each}", f"{each}"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for number in range(WORKERS)
    ]
    told = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * WORKERS
    return [json.loads(each_told) for each_told in told]


def _counts(database: Connection, table: str, thing: str) -> list[tuple[int, int, int]]:
    """Rows of a table that a run has, how many of them are of different things, and how many runs
    have just so many."""
    counted = f"SELECT count(*) AS n, count(DISTINCT {thing}) AS m FROM {table} GROUP BY run_uuid"
    found = database.execute(text(f"SELECT n, m, count(*) FROM ({counted}) AS t GROUP BY n, m"))
    return [(int(n), int(m), int(runs)) for n, m, runs in found]
