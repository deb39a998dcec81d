"""What Hydra starts the jobs of a sweep with: one after another, in workers, on other machines."""

from __future__ import annotations

import os

from omegaconf import DictConfig, OmegaConf

from transfer.system.errors import ConfigError


def has_workers(config: DictConfig) -> bool:
    """Whether the launcher runs jobs in processes of their own.

    Args:
        config: of the sweep, Hydra's own part included.

    Raises:
        ConfigError: it could not run any.
    """
    if OmegaConf.select(config, "hydra.launcher.n_jobs") == 0:
        problem = "give the number of jobs at a time, or -1 for one a core"
        raise ConfigError("hydra.launcher.n_jobs", 0, problem)
    return not config.hydra.launcher._target_.endswith(".BasicLauncher")


def keep_chosen_threads() -> None:
    """Joblib divides the cores among its workers, by a variable for each library that is not set.
    People set OpenMP's, and torch would follow the one for MKL."""
    if threads := os.environ.get("OMP_NUM_THREADS"):
        os.environ.setdefault("MKL_NUM_THREADS", threads.partition(",")[0])
