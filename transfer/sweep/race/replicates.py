"""The replicates of a sweep's configurations that wait until one of them has shown what it is
worth: seeds, folds or splits, of which most would be spent on what is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from transfer.config.halving import share_of
from transfer.sweep.outcomes import read_outcomes

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep
    from transfer.sweep.race.runners import Runners

# What replicates of a configuration differ in.
_KEYS = ("seed", "data.seed", "data.fold")
_FOR_TIME = ("paused", "out of time", "left out")


class Replicates:
    """All but the first job of each configuration.

    Args:
        sweep: whose jobs race.
    """

    def __init__(self, sweep: Sweep, runners: Runners) -> None:
        self._sweep, self._runners = sweep, runners
        # By the number of the first one.
        self._others = dict[int, list[int]]()

    def set_aside(self, numbers: Sequence[int]) -> list[int]:
        """Keep all but the first of these jobs of each configuration.

        Returns:
            the first ones.
        """
        first = dict[tuple[str, ...], int]()
        for number in numbers:
            leader = first.setdefault(recipe_of(self._sweep.split[number]), number)
            own = self._others.setdefault(leader, [])
            own += [number] if number != leader else []
        return list(self._others)

    def instead_of(self, failed: Sequence[int]) -> list[int]:
        """The next replicate of each configuration of which the first one is among these, if there
        is another; that is its first one from here on."""
        others = [self._others.pop(number, []) for number in failed]
        self._others |= {own[0]: own[1:] for own in others if own}
        return [own[0] for own in others if own]

    def take(self, racing: Sequence[int]) -> list[int]:
        """The replicates to train, once: of the best of what finished, one of each by turns. The
        others are never begun, unless an earlier command has trained them.

        Args:
            racing: the jobs that may have finished.
        """
        sweep = self._sweep
        finished = [each for each in self._runners.ranked(racing) if each in self._others]
        options = sweep.halving.options if sweep.halving is not None else None
        count = 0 if options is None else share_of(len(finished), options.eta, options.keep)
        best = finished[:count]
        others, self._others = self._others, {}
        turns = max((len(others[first]) for first in best), default=0)
        taken = [own for at in range(turns) for first in best for own in others[first][at : at + 1]]
        ends = read_outcomes(sweep.folder)
        for first, own in others.items():
            for number in own if first not in best else []:
                if (job := sweep.expected.jobs[str(number)]).done >= job.epochs:
                    taken.append(number)
                elif first in ends and ends[first].status in _FOR_TIME:
                    self._runners.leave_out(number)
                else:
                    self._runners.leave_unrepeated(number)
        return taken


def recipe_of(overrides: Sequence[str]) -> tuple[str, ...]:
    """What was typed for a job, less what tells it from its replicates."""
    return tuple(each for each in overrides if each.partition("=")[0].lstrip("+~") not in _KEYS)
