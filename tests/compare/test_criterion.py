"""Order and ranks follow what the runs were selected by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.compare.runs import make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.criterion import criterion_of
from transfer.compare.statistics import random_signs_p_values
from transfer.tracking.artifacts import Predictions
from transfer.tracking.run_record import RunRecord


def _runs(select_by: str, seeds: int = 5) -> list[RunRecord]:
    """The model "a" is the best by accuracy, "b" by balanced accuracy, and "c" by the loss."""
    measures = {"a": (0.9, 0.6, 0.5), "b": (0.8, 0.8, 0.6), "c": (0.7, 0.7, 0.2)}
    runs = []
    for model, values in measures.items():
        for seed in range(seeds):
            run = make_run(model, 0, seed, values[0], select_by=select_by)
            for name, value in zip(("acc", "balanced_acc", "loss"), values, strict=True):
                noise = 0.001 * ((seed * len(model + name) + ord(model)) % 3)
                run.metrics.update({f"test/{name}": value + noise, f"best/val_{name}": value})
            runs.append(run)
    return runs


@pytest.mark.parametrize(
    ("select_by", "order"),
    [("acc", ["a", "b", "c"]), ("balanced_acc", ["b", "c", "a"]), ("loss", ["c", "a", "b"])],
)
def test_order_and_ranks_follow(select_by: str, order: list[str]) -> None:
    runs = _runs(select_by)
    comparison = Comparison(make_rows(runs, predictions=_good_answers(select_by)))
    assert [row.label for row in comparison.rows] == order
    assert comparison.ranks == [1, 2, 3] and comparison.ranked_by == "recipe"
    assert all(comparison.pair(0, second).difference.low > 0 for second in (1, 2))
    decision = comparison.decision
    assert decision is not None and decision.probability_best[0] > 0.99
    # What was selected by one thing and by another is compared by accuracy.
    others = [*runs[:5], *_runs("loss" if select_by == "acc" else "acc")[5:]]
    assert criterion_of(others).name == "acc"


def _good_answers(select_by: str) -> dict[str, Predictions]:
    """Answers of 1,000 images, a tenth of them of the rare class, with the order of `_runs`."""
    shares = {"a": (0.05, 0.97), "b": (0.85, 0.75), "c": (0.6, 0.65)}
    random = np.random.default_rng(0)
    answers = {}
    for run in _runs(select_by):
        rare, common = shares[run.params["model.name"]]
        found = _answers(
            (random.random(100) < rare).tolist(), (random.random(900) < common).tolist()
        )
        loss = random.exponential(run.metrics["test/loss"], 1000).astype(np.float32)
        answers[run.id] = replace(found, loss=loss)
    return answers


def test_without_losses_of_each_image_nothing_is_told_by_the_loss() -> None:
    answers = {name: replace(each, loss=None) for name, each in _good_answers("loss").items()}
    comparison = Comparison(make_rows(_runs("loss"), predictions=answers))
    assert comparison.ranked_by == "nothing" and comparison.ranks == [None] * 3
    pair = comparison.pair(0, 1)
    assert pair.recipe.kind == pair.network.kind == "unknown"
    assert pair.difference.estimate == pytest.approx(0.3, abs=0.01)


def _answers(rare: list[bool], common: list[bool]) -> Predictions:
    labels = np.repeat(np.array([0, 1], dtype=np.int16), [len(rare), len(common)])
    right = np.array([*rare, *common])
    predicted = np.where(right, labels, 1 - labels).astype(np.int16)
    confidence = np.full(len(labels), 0.75, dtype=np.float32)
    return Predictions(labels, predicted, confidence, ["rare", "common"])


def test_one_seed_is_tested_on_its_images_each_class_counting_alike() -> None:
    runs = _runs("balanced_acc", seeds=1)[:2]
    # "a" knows the common class, "b" the rare one and most of the common.
    answers = {
        runs[0].id: _answers([False] * 20, [True] * 80),
        runs[1].id: _answers([True] * 20, [True] * 50 + [False] * 30),
    }
    comparison = Comparison(make_rows(runs, predictions=answers))
    assert len(comparison.rows) == 2
    pair = comparison.pair(0, 1)
    assert comparison.rows[0].label == "b" and comparison.ranks == [1, 2]
    assert comparison.ranked_by == "network"
    # 20 of 20 against none, and 30 of 80 the other way round.
    lead = (1 - 30 / 80) / 2
    error = np.sqrt(20 * (1 / 40) ** 2 + 30 * (1 / 160) ** 2)
    assert pair.network.p_value == pytest.approx(2 * stats.norm.sf(lead / error), rel=1e-4)


def test_where_images_count_alike_it_is_mcnemars_test() -> None:
    first, second = np.array([30.0, 12.0, 0.0]), np.array([15.0, 12.0, 0.0])
    found = random_signs_p_values((first - second) / 100, (first + second) / 100**2)
    assert found[0] == pytest.approx(stats.chi2.sf((30 - 15) ** 2 / 45, 1))
    assert found[1:].tolist() == [1, 1]


def test_classes_are_uneven_where_one_has_many_more_images() -> None:
    def uneven(predictions: Predictions) -> bool:
        runs = _runs("acc", seeds=1)[:1]
        [row] = make_rows(runs, predictions={runs[0].id: predictions})
        return row.uneven

    assert uneven(_answers([True] * 20, [True] * 31))
    assert not uneven(_answers([True] * 20, [True] * 30))
    assert not uneven(make_predictions([True] * 10))
