"""The jobs by which a search is checked before its first trial: its values one by one, for nobody
knows yet which of them will come together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from transfer.config import Config, typed_config
from transfer.config.search import SearchPlan, plan_search
from transfer.sweep.compose import compose_jobs, search_space, typed
from transfer.sweep.search.study import require_optuna
from transfer.sweep.turns import prepare_in_turn
from transfer.system.errors import ConfigError

if TYPE_CHECKING:
    from transfer.job import Job
    from transfer.sweep.checking import Checking

# Jobs of which one at least must be possible, with what was typed for each.
Alternatives = Sequence[tuple[Config, list[str]]]


def example_jobs(config: DictConfig) -> list[Alternatives]:
    """For each choice, and both ends of all numbers, the jobs that have it, with one value of the
    other keys or with another; those that contradict themselves are left out.

    Raises:
        ConfigError: none is left, or Optuna is missing.
    """
    require_optuna()
    groups = list[Alternatives]()
    for alternatives in search_space(config).examples():
        possible: list[tuple[Config, list[str]]] = []
        errors: list[ConfigError] = []
        for overrides in alternatives:
            [(_, composed)] = compose_jobs(config, [overrides])
            try:
                possible.append((typed_config(composed), overrides))
            except ConfigError as error:
                errors.append(error)
        if not possible:
            raise errors[0]
        groups.append(possible)
    return groups


def plan_of(config: DictConfig, groups: Sequence[Alternatives]) -> SearchPlan:
    """The search that a command asks for.

    Raises:
        ConfigError: an option is wrong, or trials could not be compared.
    """
    jobs = [job for group in groups for job, _ in group]
    space = search_space(config)
    return plan_search(config.hydra.sweeper, typed(config, "hydra"), space, jobs)


def prepare_examples(
    groups: Sequence[Alternatives], pin: Callable[[Config], Config], checking: Checking
) -> dict[str, Job]:
    """Read images and weights for every value that a trial may get.

    Returns:
        One job that was made ready, by the name of its model.

    Raises:
        ConfigError: a value cannot work, whatever the others are.
    """
    ready: dict[str, Job] = {}
    tried = set[str]()
    for group in checking.each(groups):
        errors: list[ConfigError] = []
        for job, words in group:
            if " ".join(words) in tried:
                break
            try:
                [(_, made)] = prepare_in_turn([(pin(job), words)])
            except ConfigError as error:
                errors.append(error)
                continue
            tried.add(" ".join(words))
            ready.setdefault(job.model.name, made)
            break
        else:
            raise errors[0]
    return ready


def remark_on(plan: SearchPlan) -> str:
    """Where a search is no use; empty where it is."""
    count = plan.space.count
    if math.isfinite(count) and count <= plan.options.n_trials:
        return f"there are {count:.0f} combinations: a sweep without hydra/sweeper trains them all"
    return ""
