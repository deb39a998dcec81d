"""What is at chance is known as such, and why."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.compare.runs import make_history, make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.guessing import Fault, chance_of, fault_of, is_guessing
from transfer.compare.rows import Row
from transfer.tracking.artifacts import History, Predictions, condense


def _row(answers: Predictions, **params: str) -> Row:
    run = make_run("b", 0, 0, float(answers.correct.mean()), **params)
    [row] = make_rows([run], predictions={run.id: answers})
    return row


@pytest.mark.parametrize(
    ("accuracy", "classes", "images", "guessing"),
    [
        (0.10, 10, 360, True),
        (0.12, 10, 360, True),
        (0.25, 10, 360, False),
        (0.52, 2, 400, True),
        (0.60, 2, 10_000, False),
        # Little, but far more than a thousand classes give by chance.
        (0.05, 1000, 20_000, False),
        (0.8, 2, 5, False),
    ],
)
def test_a_share_of_right_answers_that_guessing_gives_too(
    accuracy: float, classes: int, images: int, guessing: bool
) -> None:
    row = _row(make_predictions(np.arange(images) < accuracy * images, classes))
    assert is_guessing(row) == guessing


def test_where_one_class_is_nearly_all_either_measure_shows_what_was_learned() -> None:
    labels = np.repeat([0, 1], [95, 5]).astype(np.int16)
    sure = np.full(100, 0.9, dtype=np.float32)
    always = Predictions(labels, np.zeros_like(labels), sure, ["a", "b"])
    assert chance_of(_row(always)) == pytest.approx(0.95) and is_guessing(_row(always))
    # As accurate, and it finds the rare ones.
    finds = np.where(np.arange(100) < 5, 1 - labels, labels).astype(np.int16)
    assert not is_guessing(_row(Predictions(labels, finds, sure, ["a", "b"])))


def test_one_class_is_answered_in_all_folds() -> None:
    """Each fold of a few images has another one in front."""
    sure = np.full(3, 0.9, dtype=np.float32)
    answers, runs = {}, []
    for fold, labels in enumerate(([0, 0, 1], [1, 1, 0])):
        run = make_run("b", 0, 0, 2 / 3, **{"data.fold": str(fold)})
        run.tags["transfer.configuration"] = "b0"
        runs.append(run)
        of_fold = np.array(labels, dtype=np.int16)
        answers[run.id] = Predictions(of_fold, of_fold, sure, ["a", "b"])
    [row] = make_rows(runs, predictions=answers)
    assert chance_of(row) == pytest.approx(0.5)


def test_without_answers_the_number_of_classes_tells() -> None:
    counts = {"data.classes": "10", "data.test_images": "360"}
    [low] = make_rows([make_run("b", 0, 0, 0.1, **counts)])
    assert chance_of(low) == pytest.approx(0.1) and is_guessing(low)
    [unknown] = make_rows([make_run("b", 0, 0, 0.1)])
    assert math.isnan(chance_of(unknown)) and not is_guessing(unknown)


def _curves(train: list[float], losses: list[float]) -> History:
    points = [("train/acc", number, None, value) for number, value in enumerate(train, start=1)]
    points += [("train/loss", number, None, value) for number, value in enumerate(losses, start=1)]
    frame = pd.DataFrame(points, columns=["metric", "epoch", "iteration", "value"])
    return condense(frame.astype({"iteration": "Int64"}))


@pytest.mark.parametrize(
    ("curves", "seen", "validation", "params", "fault"),
    [
        (([0.3, 0.9], [2.0, 0.3]), 0.10, 0.10, {}, "evaluation"),
        (([0.1, 0.1], [2.3, 2.3]), 0.10, 0.10, {}, "flat"),
        (([0.1, 0.1], [2.3, 2.0]), 0.10, 0.10, {}, "slow"),
        (([0.1], [2.3]), 0.10, 0.10, {}, "short"),
        (([0.1, 0.1], [2.3, 2.3]), 0.10, 0.10, {"weights": "none", "epochs": "0"}, "frozen"),
        (([0.3, 0.9], [2.0, 0.3]), 0.99, 0.90, {}, "test"),
        (([0.3, 0.9], [2.0, 0.3]), 0.99, 0.12, {}, "memorised"),
        # It knows in evaluation what it did not know while it trained, augmented.
        (([0.1, 0.1], [2.3, 2.0]), 0.60, 0.60, {}, "test"),
        (([], []), 0.9, 0.9, {}, "unknown"),
    ],
)
def test_the_curves_say_where_it_went_wrong(
    curves: tuple[list[float], list[float]],
    seen: float,
    validation: float,
    params: dict[str, str],
    fault: Fault,
) -> None:
    run = make_run("b", 0, 0, 0.1, **{"data.classes": "10", **params})
    run.metrics.update({"best/train_acc": seen, "best/val_acc": validation})
    history = _curves(*curves) if curves[0] else make_history([])
    [row] = make_rows([run], {run.id: history})
    assert fault_of(row) == fault


def test_what_is_at_chance_is_nothing_for_a_small_device() -> None:
    def small(shares: list[float], classes: int) -> int | None:
        runs = []
        for number, share in enumerate(shares):
            run = make_run(f"m{number}", 0, 0, share)
            run.metrics["profile/macs"] = 1e6 * (number + 1)
            runs.append(run)
        answers = {
            run.id: make_predictions(np.arange(400) < share * 400, classes)
            for run, share in zip(runs, shares, strict=True)
        }
        decision = Comparison(make_rows(runs, predictions=answers)).decision
        assert decision is not None
        return decision.small

    # Validation chose the last; its row is the first.
    assert small([0.52, 0.61], classes=2) == 0
    assert small([0.52, 0.61], classes=10) == 1
    # Nothing is cheaper.
    assert small([0.61, 0.52], classes=10) is None
