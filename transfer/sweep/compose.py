"""What Hydra will make of a command line, before it does: jobs, their processes, their folder."""

import os
import re
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from transfer.config.space import Space, space_of
from transfer.system.errors import ConfigError

_NUMBER = "${hydra.job.num}"
# The time of a sweep is the same in all its jobs.
_TIME = r"\$\{now:[^${}]*\}"


def plans_all(config: DictConfig) -> bool:
    """Whether the sweeper knows all jobs before the first; others (Optuna) choose as they go."""
    planned = (".BasicSweeper", ".HalvingSweeper")
    return chooses(config) or config.hydra.sweeper._target_.endswith(planned)


def chooses(config: DictConfig) -> bool:
    """Whether the jobs follow from what is found before the first of them."""
    return bool(config.hydra.sweeper._target_.endswith(".ChooseSweeper"))


def is_search(config: DictConfig) -> bool:
    """Whether Optuna chooses the jobs, by `hydra/sweeper=search`."""
    return bool(config.hydra.sweeper._target_.endswith(".SearchSweeper"))


def search_space(config: DictConfig) -> Space:
    """What a search chooses from.

    Args:
        config: of the sweep, Hydra's own part included.

    Raises:
        ConfigError: nothing, or what no search can choose from.
    """
    return space_of(_parsed(config))


def typed(config: DictConfig, part: str) -> list[str]:
    """The overrides as they were typed, for `${…}` in them means each job's own.

    Args:
        part: "task", or "hydra" for those of Hydra itself.
    """
    overrides = OmegaConf.to_container(config.hydra.overrides[part], resolve=False)
    assert isinstance(overrides, list)
    return [str(each) for each in overrides]


def split_jobs(config: DictConfig) -> list[list[str]]:
    """The overrides of every job, just as the sweeper will split what was typed.

    Of a search, examples. Of another sweeper that chooses as it goes, those of each model without
    the other keys that it chooses: so every model is tried, and its weights are decided, before it
    begins.

    Raises:
        ConfigError: there is no job.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    parsed = _parsed(config)
    if is_search(config):
        return [overrides for overrides, *_ in space_of(parsed).examples()]
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
    return batch


def _parsed(config: DictConfig) -> list[Override]:
    """What was typed, and what the sweeper always sweeps, as Hydra's parser gives it."""
    loader = GlobalHydra.instance().config_loader()
    arguments = typed(config, "task")
    if plans_all(config) or is_search(config):
        params = config.hydra.sweeper.params or {}
        arguments = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    return OverridesParser.create(config_loader=loader).parse_overrides(arguments)


def compose_jobs(
    config: DictConfig, jobs: Sequence[list[str]]
) -> Iterator[tuple[list[str], DictConfig]]:
    """The overrides and the configuration of every job, just as the sweeper will compose them, and
    each in a folder of its own; one at a time, for a thousand would take memory.

    Args:
        config: of the sweep, Hydra's own part included.
        jobs: as `split_jobs` gives them.

    Raises:
        ConfigError: two share a folder, or the sweep's own folder is another in each job.
    """
    loader = GlobalHydra.instance().config_loader()
    folders = _Folders(config)
    for number, overrides in enumerate(jobs):
        composed = loader.load_sweep_config(config, overrides)
        yield overrides, composed
        if plans_all(config):
            folders.claim(number, composed)
        elif number == 0:
            # The values are not known yet, and may come twice.
            folders.claim(0, composed)
            folders.claim(1, composed)


def told_apart(names: Sequence[str], overrides: Sequence[Sequence[str]]) -> list[str]:
    """Names of runs, with what was typed for one where another is called the same."""
    alike = dict[str, list[set[str]]]()
    for name, typed in zip(names, overrides, strict=True):
        alike.setdefault(name, []).append(set(typed))
    shared = {name: set.intersection(*typed) for name, typed in alike.items()}
    return [
        " ".join([name, *(each for each in typed if each not in shared[name])])
        for name, typed in zip(names, overrides, strict=True)
    ]


class _Folders:
    """Holds a sweep to one folder for itself, and another for each job: what two jobs write would
    be one's.

    Args:
        config: of the sweep, Hydra's own part included.
    """

    def __init__(self, config: DictConfig) -> None:
        self._own = str(config.hydra.sweep.dir)
        # As the folders of nearly all sweeps are written: what they come to is known without asking
        # OmegaConf, which takes longer than all else here.
        written = _written(config)
        plain = written["subdir"] == _NUMBER and "${" not in re.sub(_TIME, "", written["dir"])
        self._plain = written if plain else None
        self._used = {os.path.normpath(self._own): "the sweep itself"}

    def claim(self, number: int, job: DictConfig) -> None:
        """Note which folder a job will have.

        Raises:
            ConfigError: another one has it, or the sweep's own is not the same in this job.
        """
        own, mine = self._own, f"job {number}"
        subdir = str(number) if _written(job) == self._plain else self._subdir(number, job)
        other = self._used.setdefault(folder := os.path.normpath(Path(own) / subdir), mine)
        if other != mine:
            problem = f"{mine} would write into {folder}, which {other} has; add the number"
            raise ConfigError("hydra.sweep.subdir", subdir, f"{problem}: {subdir}-{_NUMBER}")

    def _subdir(self, number: int, job: DictConfig) -> str:
        with read_write(job), open_dict(job):
            job.hydra.job.num, job.hydra.job.id = number, f"job_{number}"
        if str(job.hydra.sweep.dir) != self._own:
            problem = "is one folder for all jobs; what differs between them belongs into"
            raise ConfigError("hydra.sweep.dir", self._own, f"{problem} hydra.sweep.subdir")
        return str(job.hydra.sweep.subdir)


def _written(config: DictConfig) -> dict[str, str]:
    """A sweep's folder and those of its jobs, with what refers to other keys as it stands."""
    sweep = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    assert isinstance(sweep, dict)
    return {name: str(sweep[name]) for name in ("dir", "subdir")}


def require_one_place(config: DictConfig) -> None:
    """Refuse to have each job run in its own folder.

    Raises:
        ConfigError: `hydra.job.chdir` is true.
    """
    if config.hydra.job.chdir:
        problem = (
            "each path that is typed, such as data.root, would be looked for in the job's folder;"
            " leave it false, and find that folder as hydra.runtime.output_dir"
        )
        raise ConfigError("hydra.job.chdir", "true", problem)


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


def jobs_at_once(config: DictConfig) -> int:
    """How many jobs the launcher runs at the same time, at most; 0 where it does not say.

    Args:
        config: of the sweep, Hydra's own part included.
    """
    if not has_workers(config):
        return 1
    launcher = "hydra.launcher"
    number = OmegaConf.select(config, f"{launcher}.n_jobs")
    if number is None:
        return int(OmegaConf.select(config, f"{launcher}.array_parallelism") or 0)
    # As joblib counts: -1 is one a core, -2 one less.
    return int(number if number > 0 else max((os.cpu_count() or 1) + 1 + number, 1))


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
    given = any(override.startswith(f"{key}=") for override in typed(config, "hydra"))
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


def require_folder(key: str, folder: str) -> None:
    """Refuse a folder that could not be made, before anything takes time; makes none.

    Args:
        key: that names it.

    Raises:
        ConfigError: what is there of its path is no folder, or cannot be written.
    """
    asked = Path(folder).absolute()
    there = next(each for each in (asked, *asked.parents) if os.path.lexists(each))
    if not there.is_dir():
        raise ConfigError(key, asked, f"cannot be made ({there} is no folder)")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(key, asked, f"cannot be made ({there} cannot be written)")


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
