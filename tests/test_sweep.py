"""What surrounds the jobs of a sweep, without running one."""

from __future__ import annotations

import pickle
import sys

import pytest
from hydra import compose, initialize_config_dir

from tests.conftest import ROOT
from transfer.config import ConfigError, register_schema
from transfer.sweep import SweepCallback, _check_launcher, resume_command


@pytest.mark.parametrize(
    ("launcher", "workers"), [(["hydra/launcher=basic"], False), (["hydra/launcher=joblib"], True)]
)
def test_which_launchers_have_workers(launcher: list[str], workers: bool) -> None:
    assert _check(launcher) == workers


def test_no_workers_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.n_jobs=0: give the number of jobs"):
        _check(["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"])


def test_the_command_that_goes_on_is_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [".venv/bin/python", "-u", "train.py", "-m", "resume=true", "seed=range(3)"]
    monkeypatch.setattr(sys, "orig_argv", typed)
    assert resume_command() == ".venv/bin/python -u train.py -m 'seed=range(3)' resume=true"


def test_the_callback_travels_to_workers_with_nothing_in_it() -> None:
    callback = SweepCallback()
    callback._client = lambda: None  # type: ignore[assignment]
    assert isinstance(pickle.loads(pickle.dumps(callback)), SweepCallback)


def _check(overrides: list[str]) -> bool:
    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return _check_launcher(compose("config", overrides=overrides, return_hydra_config=True))
