"""Which epoch is the best, and whose weights are kept."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from tests.trainings import trainer_of
from transfer.evaluate.metrics import Evaluation, evaluate_logits, result_of
from transfer.system.checkpoints import Checkpoints
from transfer.training.checkpoint import keep
from transfer.training.epoch import Epoch, best_score, is_best, summary_metrics
from transfer.training.trainer import Trainer

# Accuracy and loss after each epoch.
EPOCHS = [(0.5, 1.0), (0.5, 1.0), (0.5, 0.9), (0.4, 0.1), (0.6, 2.0), (0.6, 2.1)]


@pytest.mark.parametrize("stopped", [0, 2, 3])
def test_accuracy_decides_then_the_loss_through_a_continuation(stopped: int) -> None:
    history: list[Epoch] = []
    for number, (accuracy, loss) in enumerate(EPOCHS, start=1):
        if number == stopped + 1:
            history = [Epoch(**asdict(epoch)) for epoch in history]
        best = is_best(Evaluation(accuracy, 0.5, loss, ece=0), history)
        history.append(_epoch(number, accuracy, 0.5, loss, best))
    assert [epoch.number for epoch in history if epoch.best] == [1, 3, 5]


def _epoch(number: int, accuracy: float, balanced: float, loss: float, best: bool) -> Epoch:
    validation = (loss, accuracy, balanced)
    return Epoch(number, False, 1, 0.5, *validation, 0.1, 0.1, 1, 1, [1.0], best)


@pytest.mark.parametrize(
    ("select_by", "numbers", "result"),
    [("acc", [1, 2, 4], 0.8), ("balanced_acc", [1, 3], 0.7), ("loss", [1, 4], -0.3)],
)
def test_the_measure_that_was_chosen_decides(
    select_by: str, numbers: list[int], result: float
) -> None:
    # Accuracy, balanced accuracy and loss after each epoch.
    measures = [(0.5, 0.5, 0.4), (0.6, 0.4, 0.5), (0.6, 0.7, 0.6), (0.8, 0.6, 0.3)]
    history: list[Epoch] = []
    for number, each in enumerate(measures, start=1):
        best = is_best(Evaluation(*each, ece=0), history, select_by)
        history.append(_epoch(number, *each, best))
    assert [epoch.number for epoch in history if epoch.best] == numbers
    summary = summary_metrics(history, Evaluation(1, 1, 0, 0), Evaluation(1, 1, 0, 0))
    assert result_of(select_by, summary) == result


def _trainer(result: str) -> Trainer:
    # At this rate some epochs are worse than one before, whatever the rounding.
    unsteady = ("epochs=6", "optimizer.head_lr=1e-3", "optimizer.lr=0.05")
    return trainer_of(*unsteady, f"protocol.result={result}")


@pytest.mark.parametrize("result", ["best", "last"])
@pytest.mark.parametrize("stopped", [2, 3])
def test_the_weights_of_the_best_epoch_are_kept_as_they_were(
    tmp_path: Path, result: str, stopped: int
) -> None:
    trainer, checkpoints = _trainer(result), Checkpoints(tmp_path)
    assert trainer.best_weights == {}
    after: dict[int, dict[str, torch.Tensor]] = {}

    def train(trainer: Trainer, last: int) -> None:
        for epoch in trainer.epochs():
            state = trainer.model.state_dict()
            after[epoch.number] = {name: each.clone() for name, each in state.items()}
            best = [each.number for each in trainer.history if each.best]
            expected = after[best[-1]]
            assert all(torch.equal(expected[n], each) for n, each in trainer.best_weights.items())
            # What a paused run is judged by is what its score was computed from.
            logits, labels = trainer.best_answers
            measured = evaluate_logits(logits, labels)
            assert measured.loss == trainer.history[best[-1] - 1].val_loss
            assert best_score("loss", trainer.history) == -measured.loss
            if epoch.number == last:
                break

    train(trainer, stopped)
    keep(trainer, checkpoints)
    state = checkpoints.newest()
    assert state is not None
    continued = _trainer(result)
    continued.restore(state)
    train(continued, 6)
    assert len(continued.history) == 6
    assert all(epoch.best for epoch in continued.history) == (result == "last")
