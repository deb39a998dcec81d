"""How long further configurations of a sweep take that chooses, from what its jobs took."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from omegaconf import DictConfig

from transfer.sweep.choose.choice import Attempt
from transfer.sweep.choose.grid import frozen_epochs, passes
from transfer.sweep.choose.menu import Menu
from transfer.sweep.choose.outlook import tuning_of
from transfer.sweep.choose.tunings import Tuning
from transfer.sweep.choose.typed_overrides import TypedOverrides
from transfer.sweep.expected import ExpectedJob
from transfer.sweep.pace import Pace

# What was measured holds to such a share, and what was not to such a one.
_MEASURED, _PLANNED = 1.1, 1.25
# Measured epochs take so many times as long as was planned, at most; and one of so many.
_MOST_SLOWER = 5.0


class AttemptCosts:
    """Seconds of what is on the menu.

    Args:
        pace: what was measured.
        config: of the sweep.

    Attributes:
        stored: what was trained, and has stored its features.
    """

    def __init__(self, pace: Pace, menu: Menu, config: DictConfig, typed: TypedOverrides) -> None:
        self._pace, self._menu, self._config, self._typed = pace, menu, config, typed
        self.stored: Sequence[Attempt] = ()
        found = [
            statistics.median(took) / pace.planned[kind][0]
            for kind, took in pace.epochs.items()
            if took and kind in pace.planned and pace.planned[kind][0] > 0
        ]
        slower = statistics.median(found) if found else 1.0
        self._slower = min(max(slower, 1 / _MOST_SLOWER), _MOST_SLOWER)

    def seconds(self, place: int, tuning: Tuning, epochs: int) -> float:
        """What the jobs of a configuration take, one after another.

        Args:
            place: of its candidate.
        """
        candidate, room = self._menu.candidates[place], self._menu.room
        stored = {
            name
            for each in self.stored
            for name in passes(
                self._menu.candidates[each.candidate], tuning_of(each), room, each.epochs
            )
        }
        own = passes(candidate, tuning, room, epochs)
        once = sum(took for name, took in own.items() if name not in stored) * self._slower
        count = max(len(self._typed.products(tuning.kind)), 1)
        return once * _PLANNED + count * self._training(place, tuning, epochs)

    def again(self, attempt: Attempt) -> float:
        """What another seed of a configuration takes."""
        return self._training(attempt.candidate, tuning_of(attempt), attempt.epochs)

    def _training(self, place: int, tuning: Tuning, epochs: int) -> float:
        """A training whose features are stored."""
        candidate, room = self._menu.candidates[place], self._menu.room
        kind = self._menu.kind(place, tuning, self._config, self._typed)
        frozen = min(frozen_epochs(candidate, tuning, room, epochs))
        job = ExpectedJob(kind, epochs, 0, frozen, 0.0, 0.0)
        if frozen == epochs:
            measured = bool(self._pace.head_epochs.get(kind))
        else:
            measured = bool(self._pace.epochs.get(kind))
        took = self._pace.seconds(job, 0, epochs)
        if took is None:
            return math.inf
        return took * (_MEASURED if measured else _PLANNED * max(self._slower, 1.0))
