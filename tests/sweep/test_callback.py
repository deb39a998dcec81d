"""What surrounds the jobs of a sweep, without running one."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from transfer.sweep.callback import SweepCallback
from transfer.sweep.endings import resume_command
from transfer.sweep.outcomes import Outcome, forget_outcomes, note_outcome, outcomes_of
from transfer.sweep.state import Repeats
from transfer.tracking.sweep_run import PlannedJob


def test_the_command_that_goes_on_is_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [".venv/bin/python", "-u", "train.py", "-m", "resume=true", "seed=range(3)"]
    monkeypatch.setattr(sys, "orig_argv", typed)
    assert resume_command() == ".venv/bin/python -u train.py -m 'seed=range(3)' resume=true"


def test_the_callback_travels_to_workers_with_nothing_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A lock, or a client of the store, could not be pickled.
    monkeypatch.setattr(SweepCallback, "running", lambda: None)
    assert vars(pickle.loads(pickle.dumps(SweepCallback()))) == {}


def test_a_job_of_which_no_word_came_has_failed(tmp_path: Path) -> None:
    planned = [PlannedJob(str(number), f"seed={number}", str(number)) for number in range(12)]
    note_outcome(tmp_path, 10, Outcome("seed=10", "finished", folder="elsewhere"))
    note_outcome(tmp_path, 2, Outcome("seed=2", "interrupted"))
    found = outcomes_of(tmp_path, planned, Repeats({"3": 2, "11": 10}))
    assert list(found) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    ends = {number: each.status for number, each in found.items() if each.status != "failed"}
    assert ends == {2: "interrupted", 10: "finished"}
    assert found[4].overrides == "seed=4" and "without a word" in found[4].error
    forget_outcomes(tmp_path)
    assert outcomes_of(tmp_path, [], Repeats({})) == {}
