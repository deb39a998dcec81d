"""Accuracy, loss and calibration against scikit-learn and by hand."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from transfer.evaluate.metrics import calibration_error, evaluate_logits


def test_agrees_with_scikit_learn() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(500, 4, generator=generator)
    labels = torch.randint(0, 4, (500,), generator=generator)
    result = evaluate_logits(logits, labels)
    predicted = logits.argmax(dim=1)
    assert result.accuracy == pytest.approx(accuracy_score(labels, predicted), abs=1e-12)
    assert result.loss == pytest.approx(log_loss(labels, logits.double().softmax(1)), abs=1e-9)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("classes", [2, 3, 4])
def test_balanced_accuracy_is_that_of_scikit_learn(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(200, 4, generator=generator)
    # Uneven, and but for the last case not of every class.
    labels = (torch.rand(200, generator=generator).square() * classes).long()
    expected = balanced_accuracy_score(labels, logits.argmax(dim=1))
    assert evaluate_logits(logits, labels).balanced_accuracy == pytest.approx(expected, abs=1e-12)


def test_calibration_error_of_a_worked_example() -> None:
    # Four images at confidence 0.8, of which two are right; one at 0.55, which is right.
    confidence = torch.tensor([0.8, 0.8, 0.8, 0.8, 0.55]).double()
    logits = torch.stack([confidence.log(), (1 - confidence).log()], dim=1)
    labels = torch.tensor([0, 0, 1, 1, 0])
    assert calibration_error(logits, labels) == pytest.approx((4 * 0.3 + 0.45) / 5)


def test_perfect_and_certain_is_calibrated() -> None:
    assert calibration_error(torch.eye(3) * 1000, torch.arange(3)) == 0
