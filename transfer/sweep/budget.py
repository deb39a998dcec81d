"""The time that a sweep may take in all, whichever commands it takes, and what is left of it.

A clock that is noted in the sweep's folder: its jobs read it wherever they run, and a command that
goes on with the sweep counts what earlier ones took. Between two commands nothing is taken: the
first notes what it took as it ends, and of one that was killed the newest file tells that it left
as a sign of life.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from transfer.config.duration import read_duration
from transfer.system.errors import ConfigError
from transfer.system.process import age_of_process

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Of the budget; so much over it is promised at most.
TOLERANCE = 0.1
# Of its time, what a sweep that chooses keeps for further seeds of its finalists, at most.
FOR_SEEDS = 0.2
_KEEP_TO_ONE = (".HalvingSweeper", ".ChooseSweeper", ".SearchSweeper")
# What a report takes, and the end of a sweep with it: imports, by what those at the start took, and
# of each job its part.
_REPORT_S, _REPORT_START, _REPORT_JOB_S = 2.0, 0.4, 0.15
# Beyond that images were read.
_LONGEST_START_S = 20.0


@dataclass(frozen=True)
class Budget:
    """The time that a sweep may take.

    Attributes:
        seconds: in all.
        spent: by earlier commands of the sweep, in seconds.
        start: of this one, in seconds since the epoch.
        report: seconds of it that are kept for the sweep's end.
        is_over: whether this command has ended, and what it took is part of `spent`.
    """

    seconds: float
    spent: float = 0.0
    start: float = 0.0
    report: float = _REPORT_S
    is_over: bool = False

    @property
    def used(self) -> float:
        """Seconds that the sweep has taken so far."""
        return self.spent + time.time() - self.start

    @property
    def left(self) -> float:
        """Seconds for jobs until it is used up, the report's part taken off; negative beyond."""
        return self.seconds - self.report - self.used

    @property
    def slack(self) -> float:
        """Seconds beyond `left` that what is nearly done may take."""
        return TOLERANCE / 2 * self.seconds


def open_budget(text: str | None, jobs: int = 0, former: Budget | None = None) -> Budget | None:
    """The clock of a sweep that starts, or goes on, now; None where it has no budget.

    Args:
        text: the key `budget`.
        jobs: how many a report will be about.
        former: what an earlier command of the same sweep left, as `read_spent` gives it.
    """
    if text is None:
        return None
    seconds, age = read_duration("budget", text), age_of_process()
    spent = 0.0 if former is None else former.spent
    report = _REPORT_S + _REPORT_START * min(age, _LONGEST_START_S) + _REPORT_JOB_S * jobs
    # Of little time, not all: something is to be reported.
    return Budget(seconds, spent, time.time() - age, min(report, seconds / 4))


def closed(budget: Budget) -> Budget:
    """The budget of a command that ends in order now, but for its report."""
    return replace(budget, spent=budget.used + budget.report, is_over=True)


def ended(former: Budget, last: float) -> Budget:
    """The budget of a command that is over, with what it took counted as spent.

    Args:
        last: when it gave a sign of life last, in seconds since the epoch; tells where it was
            killed.
    """
    if former.is_over:
        return former
    return replace(former, spent=former.spent + max(last - former.start, 0.0), is_over=True)


def keeps_to_budget(config: DictConfig) -> bool:
    """Whether the sweeper can end in time.

    Args:
        config: of the sweep, Hydra's own part included.
    """
    return str(config.hydra.sweeper._target_).endswith(_KEEP_TO_ONE)


def refuse_budget(text: str | None) -> None:
    """Raise ConfigError where a budget was given to what takes as long as it takes."""
    if text is not None:
        problem = "a single job, or every job of a grid, takes as long as it takes; what keeps to a"
        problem += " budget: -m hydra/sweeper=halving or search, -m experiment=choose"
        raise ConfigError("budget", text, problem)
