"""`hydra/sweeper=search`: Hydra takes plugins from this folder alone, and imports it even to print
its help, so that the rest is imported when there is something to sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.utils import JobReturn
from omegaconf import OmegaConf


class SearchSweeper(BasicSweeper):
    """Optuna chooses the values of the keys that are swept, trial by trial; each is a job as in any
    sweep.

    Args:
        max_batch_size, params: as of the basic sweeper.
        options: `transfer.config.search.SearchConfig`, which the sweep's plan has checked.
    """

    def __init__(
        self, max_batch_size: int | None, params: dict[str, str] | None = None, **options: object
    ) -> None:
        super().__init__(max_batch_size, params)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        from transfer.sweep.callback import SweepCallback
        from transfer.sweep.launch.job_numbers import JobNumbers
        from transfer.sweep.search.search import Search

        assert self.config is not None and self.launcher is not None
        assert SweepCallback.running is not None
        OmegaConf.save(self.config, Path(self.config.hydra.sweep.dir) / "multirun.yaml")
        search = Search(SweepCallback.running, self.config)
        returns: list[Sequence[JobReturn]] = []
        while batch := search.next_batch():
            self.validate_batch_is_legal(list(batch.values()))
            launched = self.launcher.launch(
                list(batch.values()), initial_job_idx=JobNumbers(list(batch))
            )
            # What one raised that was not for the job to note.
            scores = [each.return_value for each in launched]
            search.tell(dict(zip(batch, scores, strict=True)))
            returns.append(launched)
        return returns
