"""What can be chosen of `hydra/sweeper=search`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from transfer.config.halving import compared, sweeper_options
from transfer.config.key import key
from transfer.config.schema import Config
from transfer.config.space import Space
from transfer.config.tune import head_epochs
from transfer.system.errors import ConfigError

_PREFIX = "hydra.sweeper."
_SAMPLERS = ("tpe", "gp", "qmc", "random")
_PRUNERS = ("none", "median", "percentile", "patient", "asha", "hyperband")
# The choices that a key belongs to.
_USED_BY: Mapping[str, tuple[str, Sequence[str]]] = {
    "n_startup_trials": ("sampler", ("tpe", "gp")),
    "first_rung": ("pruner", _PRUNERS[1:]),
    "prune_from": ("pruner", ("median", "percentile", "patient")),
    "patience": ("pruner", ("patient",)),
    "eta": ("pruner", ("asha", "hyperband")),
}


@dataclass
class SearchConfig:
    """The keys that conf/hydra/sweeper/search.yaml explains."""

    n_trials: int = key(20, low=1, high=100_000, unit="trials")
    sampler: str = key("tpe", choices=_SAMPLERS)
    n_startup_trials: int = key(10, low=0, unit="trials")
    pruner: str = key("median", choices=_PRUNERS)
    first_rung: int | None = key(None, low=1, unit="epochs")
    prune_from: int = key(5, low=1, unit="trials")
    patience: int = key(3, low=1, unit="epochs")
    eta: int = key(3, low=2, high=100)
    seed: int = key(0, low=0, high=2**31 - 1)


@dataclass(frozen=True)
class SearchPlan:
    """A search before its first trial.

    Attributes:
        first_rung: the first epoch after which a trial may be pruned; None where none is.
        epochs: of a trial, at most.
        select_by: as of its jobs.
    """

    options: SearchConfig
    space: Space
    first_rung: int | None
    epochs: int
    select_by: str

    def __str__(self) -> str:
        options = self.options
        pruned = "nothing is pruned"
        if self.first_rung is not None:
            pruned = f"pruned by {options.pruner}, from epoch {self.first_rung} of {self.epochs} on"
        trials = "1 trial" if options.n_trials == 1 else f"{options.n_trials} trials"
        return f"{trials} by {options.sampler}, seed {options.seed}; {pruned}:\n{self.space}"


def plan_search(
    sweeper: DictConfig, typed: Sequence[str], space: Space, jobs: Sequence[Config]
) -> SearchPlan:
    """A search whose options are checked.

    Args:
        sweeper: Hydra's node of it.
        typed: what was typed for Hydra itself.
        jobs: examples of its trials, in which every choice and all bounds come up.

    Raises:
        ConfigError: a value is out of range or of no use, or its trials cannot be compared.
    """
    options = sweeper_options(sweeper, SearchConfig)
    _refuse_unused(options, typed)
    for name, values in _alike(jobs).items():
        if len(values) > 1:
            problem = "trials are compared with one another; give all of them the same"
            if name == "seed":
                problem = "a search would choose the luckiest; repeat over seeds what it finds"
            raise ConfigError(name, ",".join(sorted(values)), problem)
    for job in jobs:
        if job.stop_after is not None:
            problem = "trials are stopped by the pruner: see hydra.sweeper.first_rung"
            raise ConfigError("stop_after", job.stop_after, problem)
    epochs = max(job.epochs for job in jobs)
    first = _first_rung(options, jobs)
    return SearchPlan(options, space, first, epochs, jobs[0].select_by)


def _first_rung(options: SearchConfig, jobs: Sequence[Config]) -> int | None:
    epochs = max(job.epochs for job in jobs)
    first = options.first_rung
    if options.pruner == "none":
        return None
    if first is None:
        # A model whose head alone has trained says little of what it will be.
        unfrozen = [each for each in map(head_epochs, jobs) if each < epochs]
        first = max(unfrozen, default=0) + max(math.ceil(epochs / options.eta**3), 1)
        return first if first < epochs else None
    if first >= epochs:
        problem = f"must lie before the last of {epochs} epochs"
        raise ConfigError(f"{_PREFIX}first_rung", first, problem)
    return first


def _refuse_unused(options: SearchConfig, typed: Sequence[str]) -> None:
    asked = {each.partition("=")[0]: each.partition("=")[2] for each in typed}
    for name, (other, users) in _USED_BY.items():
        value = asked.get(f"{_PREFIX}{name}")
        if value is not None and getattr(options, other) not in users:
            would = " | ".join(f"{_PREFIX}{other}={each}" for each in users)
            raise ConfigError(f"{_PREFIX}{name}", value, f"is not used; what would: {would}")


def _alike(jobs: Sequence[Config]) -> dict[str, set[str]]:
    """The values of what all trials must have in common."""
    found = {name: values for name, values in compared(jobs).items() if name != "epochs"}
    for name in ("seed", "fold"):
        found[f"data.{name}"] = {str(getattr(job.data, name, "")) for job in jobs}
    return found | {"seed": {str(job.seed) for job in jobs}}
