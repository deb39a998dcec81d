"""What a sweep that chooses does when its race is over: others, and further seeds of the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from transfer.sweep.choose.attempts import Attempts
from transfer.sweep.choose.finalists import Finalists

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep


class AfterRace:
    """Gives the jobs of both.

    Args:
        sweep: whose race is over.
        config: of the sweep, Hydra's own part included.
    """

    def __init__(self, sweep: Sweep, config: DictConfig) -> None:
        self._finalists, self._attempts = Finalists(sweep, config), Attempts(sweep, config)

    def next_batch(self) -> list[int]:
        """The numbers of the jobs to launch next; none where nothing is worth its time, there is
        none, or the sweep was interrupted."""
        return (
            self._attempts.next_batch(seeds_follow=True)
            or self._finalists.next_batch()
            # What was kept for these is free once the verdict is in, or they take too long.
            or self._attempts.next_batch(seeds_follow=False)
        )
