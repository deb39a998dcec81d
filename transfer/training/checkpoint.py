"""When a training's state is kept, and how one goes on."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from transfer.system.checkpoints import Checkpoints
from transfer.system.disk import DiskError
from transfer.system.errors import first_line
from transfer.training.trainer import Trainer

log = logging.getLogger(__name__)


def keep(trainer: Trainer, checkpoints: Checkpoints) -> None:
    """Save a training as far as it has come, if there is something to go on from.

    Raises:
        DiskError: the disk is full or read-only; older checkpoints stay.
    """
    state = trainer.state()
    if state is not None:
        checkpoints.save(len(trainer.history), state, trainer.iteration)


def go_on(trainer: Trainer, checkpoints: Checkpoints) -> bool:
    """Restore what an earlier process left of the training.

    Returns:
        Whether one did.
    """
    state = checkpoints.newest()
    if state is None:
        return False
    if "best_answers" not in state:
        # A training that was interrupted before these were kept loses nothing: the best weights
        # give them again.
        state["best_answers"] = _best_answers(trainer, state)
    trainer.restore(state)
    return True


def _best_answers(trainer: Trainer, state: dict[str, Any]) -> tuple[Tensor, Tensor]:
    best = [epoch["number"] for epoch in state["history"] if epoch["best"]]
    if not best:
        return trainer.best_answers
    trainer.model.load_state_dict(state["best_weights"])
    return trainer.val_logits(best[-1])


@contextlib.contextmanager
def saved_when_interrupted(trainer: Trainer, checkpoints: Checkpoints) -> Iterator[None]:
    """Keep what was trained since the last checkpoint when KeyboardInterrupt comes through."""
    try:
        yield
    except KeyboardInterrupt:
        try:
            keep(trainer, checkpoints)
        except (OSError, DiskError) as error:
            # The interruption must go on: else a sweep would begin its next job.
            log.warning("not saved (%s): the checkpoint before stays", first_line(error))
        raise
