"""A trial of a search while it trains: it tells the study its score after each epoch, and stops
where the pruner says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer.sweep.search.study import SharedStudy
from transfer.sweep.search.trials import PRUNED

if TYPE_CHECKING:
    from transfer.config import Config
    from transfer.sweep.state import Pruning


def stop_when_pruned(
    epochs: Iterable[Any], folder: Path, number: int, pruning: Pruning, config: Config
) -> Iterator[Any]:
    """Pass on the epochs of a trial, up to the one after which it is pruned; the job pauses there.

    Args:
        epochs: of a trainer.
        folder: of the sweep.
        number: of the trial.
        config: of the job.
    """
    study = SharedStudy(folder, pruning)
    storage, own = study.storage, study.trial_id(number)
    for epoch in epochs:
        stops = False
        if epoch.number < config.epochs:
            # Before the job keeps the epoch: what it goes on after, should it be killed, was told.
            score = epoch.metrics[f"val/{config.select_by}"]
            score = -score if config.select_by == "loss" else score
            storage.set_trial_intermediate_value(own, epoch.number, score)
            stops = study.optuna.pruner.prune(study.optuna, storage.get_trial(own))
        if stops:
            study.note(number, PRUNED, epoch.number)
        yield epoch
        if stops:
            return
