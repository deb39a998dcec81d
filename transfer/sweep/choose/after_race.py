"""What a sweep that chooses does when its race is over: others, and further seeds of the best."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from transfer.sweep.choose.attempts import Attempts
from transfer.sweep.choose.finalists import Finalists

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

log = logging.getLogger(__name__)


class AfterRace:
    """Gives the jobs of both.

    Args:
        sweep: whose race is over.
        config: of the sweep, Hydra's own part included.
    """

    def __init__(self, sweep: Sweep, config: DictConfig) -> None:
        self._finalists, self._attempts = Finalists(sweep, config), None
        if sweep.choice is not None and sweep.choice.menu is not None:
            self._attempts = Attempts(sweep, config)
        else:
            log.info("the plan is of an earlier version, and does not say what else may be tried")

    def next_batch(self) -> list[int]:
        """The numbers of the jobs to launch next; none where nothing is worth its time, there is
        none, or the sweep was interrupted."""
        if self._attempts is None:
            return self._finalists.next_batch()
        return (
            self._attempts.next_batch(seeds_follow=True)
            or self._finalists.next_batch()
            # What was kept for these is free once the verdict is in, or they take too long.
            or self._attempts.next_batch(seeds_follow=False)
        )
