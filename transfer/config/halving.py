"""What can be chosen of `hydra/sweeper=halving`, and the rungs that follow for a sweep."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from transfer.config.key import key
from transfer.config.options import Options, read_options
from transfer.config.schema import Config
from transfer.config.tune import head_epochs
from transfer.system.errors import ConfigError

_PREFIX = "hydra.sweeper."
_IMAGES = (
    "root",
    "validation_fraction",
    "test_fraction",
    "folds",
    "val_folder",
    "test_folder",
)


@dataclass
class HalvingConfig:
    """The keys that conf/hydra/sweeper/halving.yaml explains."""

    first_rung: int | None = key(None, low=1, unit="epochs")
    eta: float = key(3.0, low=1.1, high=100.0)
    keep: str = key("forecast", choices=("forecast", "paired", "share"))
    risk: float = key(0.05, above=0, below=1)
    keep_checkpoints: bool = key(False)


@dataclass
class ChooseConfig(HalvingConfig):
    """Those that conf/hydra/sweeper/choose.yaml has beside them."""

    keep: str = key("paired", choices=("forecast", "paired", "share"))
    finalists: int = key(3, low=1, high=20)
    seeds: int = key(5, low=1, high=20)


@dataclass(frozen=True)
class Halving:
    """A sweep in rungs.

    Attributes:
        rungs: epochs at which some may be dropped, from the first.
        epochs: of every job.
    """

    options: HalvingConfig
    rungs: Sequence[int]
    epochs: int

    def __str__(self) -> str:
        options = self.options
        rule = {
            "forecast": f"1/{options.eta:g} of the configurations, two at least, those of each"
            " model by turns, by where they lead, one run of each; the best of these over further"
            " seeds",
            "paired": f"all that is not surely behind the best, at a risk of {options.risk:g}",
            "share": f"the best 1/{options.eta:g}",
        }[options.keep]
        listed = ", ".join(map(str, self.rungs))
        return f"rungs after epochs {listed} of {self.epochs}; kept at each: {rule}"

    def least_and_most(self, sizes: Sequence[int]) -> tuple[int, int]:
        """How many epochs are trained at least and at most, with so many jobs in each
        configuration."""
        ordered = sorted(sizes)
        if self.options.keep == "forecast":
            return self._with_repeats(ordered), self._with_repeats(ordered[::-1])
        if self.options.keep == "share":
            return self._trained(ordered), self._trained(ordered[::-1])
        least = sum(ordered) * self.rungs[0] + ordered[0] * (self.epochs - self.rungs[0])
        return least, sum(ordered) * self.epochs

    def _trained(self, sizes: Sequence[int]) -> int:
        """Where the first ones of these configurations are kept."""
        total, done, kept = 0, 0, len(sizes)
        for rung in self.rungs:
            total += sum(sizes[:kept]) * (rung - done)
            done, kept = rung, share_of(kept, self.options.eta, self.options.keep)
        return total + sum(sizes[:kept]) * (self.epochs - done)

    def _with_repeats(self, sizes: Sequence[int]) -> int:
        """Where one job of each races, and the first ones are repeated."""
        kept = len(sizes)
        for _ in (*self.rungs, self.epochs):
            kept = share_of(kept, self.options.eta, self.options.keep)
        return self._trained([1] * len(sizes)) + (sum(sizes[:kept]) - kept) * self.epochs


def plan_halving(sweeper: DictConfig, jobs: Sequence[Config]) -> Halving | None:
    """The rungs of a sweep; None where another sweeper was chosen.

    Args:
        sweeper: Hydra's node of it.
        jobs: all jobs of the sweep.

    Raises:
        ConfigError: a value is out of range, or the jobs cannot be compared before their end.
    """
    if not str(sweeper._target_).endswith((".HalvingSweeper", ".ChooseSweeper")):
        return None
    chooses = str(sweeper._target_).endswith(".ChooseSweeper")
    options = sweeper_options(sweeper, ChooseConfig if chooses else HalvingConfig)
    for name, values in compared(jobs).items():
        if len(values) > 1:
            problem = "jobs are dropped by comparing them half way; give all of them the same"
            raise ConfigError(name, ",".join(sorted(values)), problem)
    if any(job.stop_after is not None for job in jobs):
        problem = "jobs pause at the rungs: see hydra.sweeper.first_rung"
        typed = next(job.stop_after for job in jobs if job.stop_after is not None)
        raise ConfigError("stop_after", typed, problem)
    epochs = jobs[0].epochs
    unfrozen = [each for each in map(head_epochs, jobs) if each < epochs]
    if epochs == 1:
        raise ConfigError("epochs", 1, "no rung lies before the last epoch; give 2 or more")
    head = max(unfrozen, default=0)
    rungs = rungs_of(epochs, head, options.first_rung, options.eta, options.keep)
    if not rungs:
        problem = f"the first rung must lie before the last of {epochs} epochs"
        if options.first_rung is None:
            problem += ", and none does after the last unfreeze; give it yourself"
        raise ConfigError(f"{_PREFIX}first_rung", options.first_rung or "null", problem)
    return Halving(options, rungs, epochs)


def share_of(count: int, eta: float, keep: str) -> int:
    """How many of so many configurations are one of `eta`.

    Args:
        keep: as in `HalvingConfig`; of a forecast two go on, if there are, for a verdict is between
            two.
    """
    return min(max(math.ceil(count / eta), 2 if keep == "forecast" else 1), count)


def rungs_of(
    epochs: int, frozen: int, first: int | None, eta: float, keep: str = "paired"
) -> list[int]:
    """The epochs after which jobs may be dropped; none where no such epoch lies before the last.

    Args:
        epochs: of every job.
        frozen: the most epochs in which the head of one learns alone before more does.
        first: the first rung, if it was chosen; else it follows from the others.
        eta: each rung lies at so many times the epochs of the one before.
        keep: as in `HalvingConfig`; to look ahead, more of a curve has to be seen.
    """
    if first is None:
        seen = math.ceil(epochs / eta**3)
        if keep == "forecast":
            # But half of what is left is enough.
            seen = min(math.ceil(epochs / eta), (epochs - frozen) // 2)
        first = frozen + max(seen, 1)
    rungs, place = list[int](), 0
    while (following := round(first * eta**place)) < epochs:
        # Where eta is small, some are no epoch further.
        rungs += [following] if not rungs or following > rungs[-1] else []
        place += 1
    return rungs


def sweeper_options(sweeper: DictConfig, kind: type[Options]) -> Options:
    """The checked options of a sweeper of this project.

    Args:
        sweeper: Hydra's node of it.
        kind: a dataclass whose fields were declared by `key`.

    Raises:
        ConfigError: a value is out of range.
    """
    chosen = read_options(_PREFIX, sweeper, kind)
    halving = chosen if isinstance(chosen, HalvingConfig) else HalvingConfig()
    if halving.keep != "paired" and halving.risk != HalvingConfig().risk:
        problem = f"keep={halving.keep} drops a share, whatever the risk; keep=paired would use it"
        raise ConfigError(f"{_PREFIX}risk", halving.risk, problem)
    size = OmegaConf.select(sweeper, "max_batch_size")
    if size is not None and not (isinstance(size, int) and size >= 1):
        raise ConfigError(f"{_PREFIX}max_batch_size", size, "must be null, or at least 1")
    return chosen


def compared(jobs: Sequence[Config]) -> dict[str, set[str]]:
    """The values of what all jobs must have in common."""
    return {
        "epochs": {str(job.epochs) for job in jobs},
        "select_by": {job.select_by for job in jobs},
        "data": {job.data.name for job in jobs},
        # Answers on other images, or by another split, are no pairs.
        **{f"data.{name}": {str(getattr(job.data, name, "")) for job in jobs} for name in _IMAGES},
        "protocol.validation": {job.protocol.validation for job in jobs},
    }
