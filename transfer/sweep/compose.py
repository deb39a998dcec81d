"""What Hydra will make of a command line, before it does: jobs, their processes, their folder."""

import os
from itertools import product
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from transfer.system.errors import ConfigError


def plans_all(config: DictConfig) -> bool:
    """Whether the sweeper knows all jobs before the first; others (Optuna) choose as they go."""
    return config.hydra.sweeper._target_.endswith(".BasicSweeper")


def compose_jobs(config: DictConfig) -> list[tuple[list[str], DictConfig]]:
    """The overrides and the configuration of every job, just as the sweeper will compose them.

    Of a sweeper that chooses as it goes, the configuration of each model without the other keys
    that it chooses: so every model is tried, and its weights are decided, before it begins.

    Raises:
        ConfigError: there is no job.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    loader = GlobalHydra.instance().config_loader()
    arguments = list(config.hydra.overrides.task)
    if plans_all(config):
        params = config.hydra.sweeper.params or {}
        arguments = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(arguments)
    if plans_all(config):
        [batch] = BasicSweeper.split_arguments(parsed, max_batch_size=None)
        for each in parsed:
            if not batch and each.is_discrete_sweep() and not list(each.sweep_iterator()):
                key, _, value = str(each.input_line).partition("=")
                raise ConfigError(key, value, "gives no value to sweep over")
    else:
        fixed = [str(each.input_line) for each in parsed if not each.is_sweep_override()]
        models = [
            [f"{each.key_or_group}={value}" for value in each.sweep_string_iterator()]
            for each in parsed
            if each.key_or_group in ("model", "model.name") and each.is_discrete_sweep()
        ]
        batch = [[*fixed, *chosen] for chosen in product(*models)]
    return [(overrides, loader.load_sweep_config(config, overrides)) for overrides in batch]


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


def claim_folder(config: DictConfig, key: str) -> Path:
    """Make the folder that Hydra is going to use; where it is there already, one beside it, for two
    commands that start in the same second would share one.

    A folder that the command line names is used as it is: who names it may mean it again.

    Args:
        config: Hydra's, with its node `hydra`; is changed where the folder is another one.
        key: "hydra.run.dir" or "hydra.sweep.dir".

    Returns:
        The absolute path.

    Raises:
        ConfigError: it cannot be made.
    """
    asked = Path(OmegaConf.select(config, key))
    given = any(override.startswith(f"{key}=") for override in config.hydra.overrides.hydra)
    try:
        if given:
            asked.mkdir(parents=True, exist_ok=True)
            return asked.absolute()
        made = _make_new(asked)
    except OSError as error:
        raise ConfigError(key, asked, f"cannot be made ({error.strerror})") from error
    with read_write(config), open_dict(config):
        OmegaConf.update(config, key, str(made))
        # Hydra composes each job's configuration anew, from these.
        quoted = QuotedString(str(made), Quote.single).with_quotes()
        config.hydra.overrides.hydra.append(f"{key}={quoted}")
    return made.absolute()


def _make_new(folder: Path) -> Path:
    """The folder, or the first free of folder-2, folder-3, and so on."""
    made, number = folder, 1
    while True:
        try:
            made.mkdir(parents=True)
            return made
        except FileExistsError:
            number += 1
            made = folder.with_name(f"{folder.name}-{number}")
