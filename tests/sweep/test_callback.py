"""What surrounds the jobs of a sweep, without running one."""

from __future__ import annotations

import pickle
import sys

import pytest

from transfer.sweep.callback import SweepCallback
from transfer.sweep.endings import resume_command


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
