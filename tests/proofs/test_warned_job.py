"""A job that a cluster warns and begins again, by submitit on this machine."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.conftest import FASTEST, TINY, Workplace, children
from transfer.tracking.run_state import RunState


def test_a_job_that_is_warned_goes_on_when_it_is_begun_again(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Slurm, but that nobody else takes the job away."""
    monkeypatch.setenv("HF_TOKEN", "geheim123")
    command = ("-m", *FASTEST, *TINY, "epochs=20", "hydra/launcher=submitit_local")
    process = workplace.start_from_scratch(*command)
    while not (state := _state(workplace)) or not state.points:
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(int(state.tags["transfer.process"] or 0), signal.SIGUSR2)
    process.communicate(timeout=300)
    assert process.returncode == 0
    [run] = children(workplace).values()
    assert run.info.status == "FINISHED" and run.info.run_id == state.run_id
    assert run.data.tags["transfer.process"] != state.tags["transfer.process"]
    points = workplace.client.get_metric_history(run.info.run_id, "val/acc")
    assert [point.step for point in points] == list(range(1, 21))
    files = [path for path in workplace.folder.rglob("*") if path.is_file()]
    assert any(path.name.endswith("_submitted.pkl") for path in files)
    assert not [path for path in files if b"geheim123" in path.read_bytes()]


def _state(workplace: Workplace) -> RunState | None:
    """The job's run as its folder has it, once it is there."""
    for path in workplace.folder.glob("multirun/*/*/0"):
        return RunState.load(path)
    return None
