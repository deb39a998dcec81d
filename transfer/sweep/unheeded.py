"""What Hydra takes on a command line and leaves aside without a word: parts of a sweep for a job
alone, and the folder of a job alone for a sweep."""

from __future__ import annotations

from omegaconf import DictConfig

from transfer.sweep.compose import typed
from transfer.system.errors import ConfigError

_OF_SWEEPS = (
    "hydra/launcher",
    "hydra/sweeper",
    "hydra.launcher.",
    "hydra.sweeper.",
    "hydra.sweep.",
)
_ALONE = ("hydra.run.",)


def refuse_unheeded(config: DictConfig, *, sweep: bool) -> None:
    """Refuse what was typed of Hydra's own and would mean nothing: hydra/launcher=submitit_slurm
    without -m would run one job where the command was typed.

    Args:
        config: with Hydra's own part included.
        sweep: whether it is one's, by -m.

    Raises:
        ConfigError: such was typed.
    """
    for override in typed(config, "hydra"):
        key, _, value = override.lstrip("+~").partition("=")
        if not sweep and key.startswith(_OF_SWEEPS):
            raise ConfigError(key, value, "is for the jobs of a sweep; type -m before it")
        if sweep and key.startswith(_ALONE):
            problem = "is for a job alone; the folder of a sweep is hydra.sweep.dir"
            raise ConfigError(key, value, problem)
