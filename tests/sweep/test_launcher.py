"""What is asked of a launcher before a sweep begins."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from tests.conftest import ROOT
from transfer.config import register_schema
from transfer.sweep.launcher import has_workers
from transfer.system.errors import ConfigError


@pytest.mark.parametrize(
    ("launcher", "workers"), [(["hydra/launcher=basic"], False), (["hydra/launcher=joblib"], True)]
)
def test_which_launchers_have_workers(launcher: list[str], workers: bool) -> None:
    assert has_workers(_composed(launcher)) == workers


def test_no_workers_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.n_jobs=0: give the number of jobs"):
        has_workers(_composed(["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"]))


def _composed(overrides: list[str]) -> DictConfig:
    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", overrides=overrides, return_hydra_config=True)
