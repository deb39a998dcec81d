"""What is settled of a sweep's jobs as a whole, before the first of them starts."""

import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from transfer.config import Config
from transfer.models.sources import resolve_source
from transfer.sweep import state
from transfer.sweep.compose import claim_folder
from transfer.system.errors import ConfigError
from transfer.system.lock import Lock, LockedError
from transfer.tracking.previous_run import lock_of
from transfer.tracking.store import Client
from transfer.tracking.sweep_run import PlannedJob, find_auto_weights

log = logging.getLogger(__name__)


def auto_weights(
    client: Client, jobs: Sequence[Config], overrides: Sequence[str] | None
) -> state.AutoWeights:
    """What `weights=auto` comes to: for a sweep that goes on, what it came to at first, for with
    other weights, downloaded since, its jobs would be others.

    Args:
        overrides: those of a sweep that goes on.
    """
    models = dict.fromkeys(job.model.name for job in jobs if job.weights == "auto")
    former = find_auto_weights(client, overrides) if models and overrides is not None else {}
    return state.AutoWeights(
        {model: former.get(model) or resolve_source("auto", model) for model in models}
    )


def find_repeats(planned: Sequence[PlannedJob]) -> state.Repeats:
    """The jobs that an earlier one makes superfluous; says which."""
    alike = dict[str, list[int]]()
    for number, job in enumerate(planned):
        alike.setdefault(job.fingerprint, []).append(number)
    for first, *others in alike.values():
        if others:
            twins = "\n".join(f"  #{each} : {planned[each].overrides}" for each in (first, *others))
            log.warning("these jobs train the same; the first of them is run, once:\n%s", twins)
    return state.Repeats({str(each): first for first, *others in alike.values() for each in others})


def without_repeats(jobs: Sequence[PlannedJob], repeats: state.Repeats) -> list[PlannedJob]:
    """The jobs that train something: these make a sweep the one that it is."""
    return [job for number, job in enumerate(jobs) if str(number) not in repeats.of]


def lock_folder(config: DictConfig) -> tuple[Path, Lock]:
    """The folder of a sweep, made, and its lock, acquired.

    Args:
        config: of the sweep, Hydra's own part included.

    Raises:
        ConfigError: it cannot be made, or another sweep is writing there.
    """
    folder = claim_folder(config, "hydra.sweep.dir")
    lock = lock_of(folder)
    try:
        lock.acquire()
    except LockedError as error:
        problem = "another sweep is writing there; choose another folder, or wait for it"
        problem += error.advice
        raise ConfigError("hydra.sweep.dir", folder, problem) from error
    return folder, lock
