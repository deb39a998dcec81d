"""`hydra/sweeper=choose`, of `experiment=choose`: see hydra_plugins/halving_sweeper.py."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.utils import JobReturn

from hydra_plugins.halving_sweeper import HalvingSweeper


class ChooseSweeper(HalvingSweeper):
    """A race between the configurations that the sweep's plan has chosen, then others that are
    worth the time that is left, and then the finalists over further seeds, as long as these decide
    something.

    Args:
        max_batch_size: as of the basic sweeper.
        options: `transfer.config.halving.ChooseConfig`, which the sweep's plan has checked.
    """

    def __init__(self, max_batch_size: int | None, **options: object) -> None:
        super().__init__(max_batch_size)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        from transfer.sweep.callback import SweepCallback
        from transfer.sweep.choose.after_race import AfterRace
        from transfer.sweep.choose.early_clock import EarlyClock
        from transfer.sweep.choose.typed_overrides import sort_overrides

        assert self.config is not None and SweepCallback.running is not None
        # From here on the sweep's own folder has what was spent.
        EarlyClock.of(self.config, sort_overrides(self.config)).forget()
        returns = super().sweep(arguments)
        after_race = AfterRace(SweepCallback.running, self.config)
        while numbers := after_race.next_batch():
            returns.append(self.launch(numbers))
        return returns
