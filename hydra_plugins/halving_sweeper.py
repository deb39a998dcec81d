"""`hydra/sweeper=halving`: Hydra takes plugins from this folder alone, and imports it even to print
its help, so that the rest is imported when there is something to sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf


class HalvingSweeper(BasicSweeper):
    """The basic sweeper's grid and grammar, in rungs: at each, all jobs that are still in the race
    train as far as an epoch and pause, and those of the configurations that lost are dropped.

    Args:
        max_batch_size, params: as of the basic sweeper.
        options: `transfer.config.halving.HalvingConfig`, which the sweep's plan has checked.
    """

    def __init__(
        self, max_batch_size: int | None, params: dict[str, str] | None = None, **options: object
    ) -> None:
        super().__init__(max_batch_size, params)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        from transfer.sweep.callback import SweepCallback
        from transfer.sweep.race.race import Race

        assert self.config is not None and SweepCallback.running is not None
        OmegaConf.save(self.config, Path(self.config.hydra.sweep.dir) / "multirun.yaml")
        race = Race(SweepCallback.running, self.max_batch_size)
        returns: list[Sequence[JobReturn]] = []
        while numbers := race.next_batch():
            returns.append(self.launch(numbers))
        return returns

    def launch(self, numbers: Sequence[int]) -> Sequence[JobReturn]:
        """Run these jobs of the sweep, all at once."""
        from transfer.sweep.callback import SweepCallback
        from transfer.sweep.launch.job_numbers import JobNumbers

        assert self.launcher is not None and SweepCallback.running is not None
        batch = [list(SweepCallback.running.split[number]) for number in numbers]
        self.validate_batch_is_legal(batch)
        launched = self.launcher.launch(batch, initial_job_idx=JobNumbers(numbers))
        for each in launched:
            # What it raised that was not for the job to note.
            _ = each.return_value
        return launched
