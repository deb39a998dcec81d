"""What Hydra's sweeper will make of a command line, before it does."""

from __future__ import annotations

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from transfer.system.errors import ConfigError


def plans_all(config: DictConfig) -> bool:
    """Whether the sweeper knows all jobs before the first; others (Optuna) choose as they go."""
    return config.hydra.sweeper._target_.endswith(".BasicSweeper")


def compose_jobs(config: DictConfig) -> list[tuple[list[str], DictConfig]]:
    """The overrides and the configuration of every job, just as the sweeper will compose them.

    Of a sweeper that chooses as it goes, the configuration without the swept keys.

    Raises:
        ConfigError: there is no job.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    loader = GlobalHydra.instance().config_loader()
    arguments = list(config.hydra.overrides.task)
    sweeper = config.hydra.sweeper
    if plans_all(config):
        arguments = [f"{key}={value}" for key, value in (sweeper.params or {}).items()] + arguments
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(arguments)
        [batch] = BasicSweeper.split_arguments(parsed, max_batch_size=None)
        for each in parsed:
            if not batch and each.is_discrete_sweep() and not list(each.sweep_iterator()):
                key, _, value = str(each.input_line).partition("=")
                raise ConfigError(key, value, "gives no value to sweep over")
    else:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(arguments)
        batch = [[str(each.input_line) for each in parsed if not each.is_sweep_override()]]
    return [(overrides, loader.load_sweep_config(config, overrides)) for overrides in batch]
