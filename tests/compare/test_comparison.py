"""Which rows differ significantly, by which test, and the ranks that follow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.compare.runs import make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.statistics import pareto_front

SEEDS = range(5)


def _runs(model: str, accuracies: list[float]):
    return [make_run(model, 0, seed, value) for seed, value in enumerate(accuracies)]


def test_seeds_decide_where_there_are_three_of_them() -> None:
    good, bad = [0.90, 0.91, 0.92, 0.90, 0.91], [0.80, 0.81, 0.83, 0.80, 0.80]
    comparison = Comparison(make_rows([*_runs("good", good), *_runs("bad", bad)]))
    pair = comparison.pair(0, 1)
    assert pair.test == "seeds" and pair.seeds == 5 and pair.significant
    assert pair.p_value == pytest.approx(stats.ttest_rel(good, bad).pvalue)
    assert pair.difference.estimate == pytest.approx(np.mean(good) - np.mean(bad))
    assert comparison.ranks == [1, 2]


def test_test_images_decide_where_there_are_few_seeds() -> None:
    runs = [make_run("a", 0, 0, 0.9), make_run("b", 0, 0, 0.5)]
    answers = {
        "a-0-0": make_predictions([True] * 90 + [False] * 10),
        "b-0-0": make_predictions([True] * 50 + [False] * 50),
    }
    comparison = Comparison(make_rows(runs, predictions=answers))
    pair = comparison.pair(0, 1)
    assert pair.test == "images" and pair.significant
    # The better one alone is right on 40 images, the other never.
    assert pair.p_value == pytest.approx(stats.binomtest(0, 40).pvalue)
    assert not pair.difference.known


def test_what_shares_neither_seeds_nor_images_is_not_tested() -> None:
    comparison = Comparison(make_rows([make_run("a", 0, 0, 0.9), make_run("b", 0, 1, 0.1)]))
    pair = comparison.pair(0, 1)
    assert pair.test == "none" and not pair.significant
    assert math.isnan(pair.corrected) and math.isnan(pair.difference.estimate)
    assert comparison.ranks == [1, 1]


def test_what_does_not_differ_significantly_shares_a_rank() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.01, (4, 5))
    means = {"a": 0.9, "b": 0.899, "c": 0.7, "d": 0.5}
    runs = [
        run
        for (model, mean), deviation in zip(means.items(), noise, strict=True)
        for run in _runs(model, list(mean + deviation))
    ]
    comparison = Comparison(make_rows(runs))
    assert comparison.ranks == [1, 1, 3, 4]
    # Six tests: a corrected p-value is never smaller than its own.
    pairs = [comparison.pair(i, j) for i in range(4) for j in range(i + 1, 4)]
    assert all(pair.corrected >= pair.p_value for pair in pairs)
    assert [(pair.first, pair.second) for pair in comparison.against_best()] == [
        (0, 1),
        (0, 2),
        (0, 3),
    ]


def test_mcnemar_takes_the_lowest_common_seed() -> None:
    runs = [make_run(model, 0, seed, 0.5) for model in "ab" for seed in (10, 9)]
    same = make_predictions([True, False] * 20)
    answers = {run.id: same for run in runs}
    answers["a-0-10"] = make_predictions([True] * 40)
    comparison = Comparison(make_rows(runs, predictions=answers))
    # Seed 9, in which both gave the same answers, and not "10", which sorts before "9".
    assert comparison.pair(0, 1).mcnemar == 1.0


@pytest.mark.parametrize(
    ("accuracies", "costs", "front"),
    [
        ([0.9, 0.8, 0.7], [3, 2, 1], [True, True, True]),
        ([0.9, 0.8, 0.7], [1, 2, 3], [True, False, False]),
        ([0.9, 0.9, 0.8], [2, 2, 2], [True, True, False]),
        ([0.9, math.nan, 0.8], [2, 1, math.nan], [True, False, False]),
        ([], [], []),
    ],
)
def test_the_pareto_front(accuracies: list[float], costs: list[float], front: list[bool]) -> None:
    assert pareto_front(accuracies, costs) == front


def test_the_seeds_that_both_have_decide_not_the_order_of_the_means() -> None:
    more = [make_run("a", 0, seed, 0.70 + 0.001 * seed if seed < 3 else 0.95) for seed in range(10)]
    fewer = [make_run("b", 0, seed, 0.75 - 0.001 * seed) for seed in range(3)]
    comparison = Comparison(make_rows([*more, *fewer]))
    pair = comparison.pair(0, 1)
    assert pair.significant
    assert pair.lead < 0
    assert comparison.ranks == [2, 1]
