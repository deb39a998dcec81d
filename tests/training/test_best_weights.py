"""Which epoch's weights are kept."""

from __future__ import annotations

import pytest
from torch import nn

from transfer.evaluate import Evaluation
from transfer.training.best_weights import BestWeights

# Accuracy and loss after each epoch.
EPOCHS = [(0.5, 1.0), (0.5, 1.0), (0.5, 0.9), (0.4, 0.1), (0.6, 2.0), (0.6, 2.1)]


def _taken(best: BestWeights, model: nn.Linear, first: int, last: int) -> list[int]:
    taken = []
    for epoch in range(first, last + 1):
        nn.init.constant_(model.bias, epoch)
        accuracy, loss = EPOCHS[epoch - 1]
        if best.take(model, epoch, Evaluation(accuracy, loss, ece=0)):
            taken.append(epoch)
    return taken


@pytest.mark.parametrize(
    ("result", "expected"), [("best", [1, 3, 5]), ("last", [1, 2, 3, 4, 5, 6])]
)
@pytest.mark.parametrize("stopped", [0, 2, 3])
def test_accuracy_decides_then_the_loss_through_a_continuation(
    result: str, expected: list[int], stopped: int
) -> None:
    model, best = nn.Linear(2, 1), BestWeights(result)
    taken = _taken(best, model, 1, stopped)
    continued = BestWeights(result)
    continued.restore(best.state())
    taken += _taken(continued, model, stopped + 1, len(EPOCHS))
    assert taken == expected
    assert continued.weights["bias"].item() == expected[-1]


def test_what_was_taken_stays_as_it_was() -> None:
    model, best = nn.Linear(2, 1), BestWeights("best")
    assert best.weights == {}
    _taken(best, model, 1, 1)
    nn.init.zeros_(model.bias)
    assert best.weights["bias"].item() == 1
