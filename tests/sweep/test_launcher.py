"""What is asked of a launcher before a sweep begins."""

from __future__ import annotations

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from tests.conftest import ROOT
from transfer.config import register_schema, typed_config
from transfer.sweep.launcher import has_workers, require_precision
from transfer.system.errors import ConfigError

# What choosing hydra/launcher=submitit_slurm sets, where its package is installed.
_SLURM = "hydra.launcher._target_=hydra_plugins.hydra_submitit_launcher.submitit_launcher"


@pytest.mark.parametrize(
    ("launcher", "workers"), [(["hydra/launcher=basic"], False), (["hydra/launcher=joblib"], True)]
)
def test_which_launchers_have_workers(launcher: list[str], workers: bool) -> None:
    assert has_workers(_composed(launcher)) == workers


def test_no_workers_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.n_jobs=0: give the number of jobs"):
        has_workers(_composed(["hydra/launcher=joblib", "hydra.launcher.n_jobs=0"]))


def test_jobs_on_other_machines_need_a_precision_that_is_known_here() -> None:
    slurm = f"{_SLURM}.SlurmLauncher"
    with pytest.raises(ConfigError, match="precision=auto: jobs go to other machines"):
        _require_precision([slurm])
    _require_precision([slurm, "precision=bfloat16"])
    _require_precision([f"{_SLURM}.LocalLauncher"])
    _require_precision(["hydra/launcher=joblib"])


def _require_precision(overrides: list[str]) -> None:
    # The launcher's class need not be there: nothing is launched.
    job = [each for each in overrides if not each.startswith("hydra")]
    require_precision(_composed(overrides), typed_config(_composed(job, hydra=False)))


def _composed(overrides: list[str], *, hydra: bool = True) -> DictConfig:
    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", overrides=overrides, return_hydra_config=hydra)
