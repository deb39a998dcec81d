"""Which rows differ significantly, by which test, and the ranks that follow."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from tests.compare.runs import make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.rows import Row
from transfer.compare.statistics import pareto_front
from transfer.tracking.run_record import RunRecord


def _sweep(
    means: dict[str, list[float]], images: int = 400, **params: str
) -> tuple[list[RunRecord], list[Row]]:
    """Runs of recipes that are right on exactly these shares of the images, by seed: all know the
    same easy images, and each is right on others of the rest by chance."""
    random = np.random.default_rng(0)
    easy = random.permutation(images)
    runs, answers = [], {}
    for model, accuracies in means.items():
        for seed, accuracy in enumerate(accuracies):
            run = make_run(model, 0, seed, accuracy, **params)
            known = int(0.9 * accuracy * images)
            rest = random.permutation(easy[known:])[: round(accuracy * images) - known]
            right = np.isin(np.arange(images), [*easy[:known], *rest])
            runs.append(run)
            answers[run.id] = make_predictions(right)
    return runs, make_rows(runs, predictions=answers)


def test_recipes_are_told_apart_from_two_replicates_on() -> None:
    _, rows = _sweep({"good": [0.90, 0.91], "bad": [0.60, 0.61]})
    comparison = Comparison(rows)
    pair = comparison.pair(0, 1)
    assert comparison.ranks == [1, 2] and comparison.ranked_by == "recipe"
    assert pair.recipe.kind == "better" and pair.network.kind == "better"
    assert pair.replicates == 2 and pair.difference.over == "both"
    assert pair.difference.estimate == pytest.approx(0.3)
    # An interval that leaves out 0 and a p-value below 5 % say the same.
    assert pair.difference.low > 0 and pair.recipe.p_value < 0.05


def test_one_replicate_tells_networks_apart_and_no_recipes() -> None:
    runs = [make_run("a", 0, 0, 0.9), make_run("b", 0, 0, 0.5)]
    answers = {
        "a-0-0": make_predictions([True] * 90 + [False] * 10),
        "b-0-0": make_predictions([True] * 50 + [False] * 50),
    }
    comparison = Comparison(make_rows(runs, predictions=answers))
    pair = comparison.pair(0, 1)
    assert pair.recipe.kind == "unknown" and math.isnan(pair.recipe.p_value)
    assert pair.network.kind == "better" and comparison.ranked_by == "network"
    # The better one alone is right on 40 images, the other never.
    assert pair.network.p_value == pytest.approx(stats.binomtest(0, 40).pvalue)
    assert pair.difference.estimate == pytest.approx(0.4) and not pair.difference.known


def test_what_shares_neither_replicates_nor_images_is_not_tested() -> None:
    comparison = Comparison(make_rows([make_run("a", 0, 0, 0.9), make_run("b", 0, 1, 0.1)]))
    pair = comparison.pair(0, 1)
    assert pair.recipe.kind == pair.network.kind == "unknown"
    assert math.isnan(pair.recipe.corrected) and math.isnan(pair.difference.estimate)
    assert comparison.ranks == [None, None] and comparison.ranked_by == "nothing"


def test_an_unknown_verdict_says_what_it_lacks() -> None:
    runs = [make_run(model, 0, seed, 0.8) for model in "ab" for seed in range(3)]
    answers = {run.id: make_predictions(np.arange(50) < 40) for run in runs}
    without = Comparison(make_rows(runs)).pair(0, 1)
    assert (without.recipe.missing, without.network.missing) == ("answers", "answers")
    once = Comparison(make_rows([runs[0], *runs[4:]], predictions=answers)).pair(0, 1)
    assert (once.recipe.missing, once.network.missing) == ("replicates", None)
    others = [make_run("b", 0, 0, 0.8, **{"data.test_digest": "others"})]
    answers[others[0].id] = answers["a-0-0"]
    elsewhere = Comparison(make_rows([*runs[:3], *others], predictions=answers)).pair(0, 1)
    assert (elsewhere.recipe.missing, elsewhere.network.missing) == ("replicates", "images")
    known = Comparison(make_rows(runs, predictions=answers)).pair(0, 1)
    assert known.recipe.missing is known.network.missing is None


def test_what_does_not_differ_significantly_shares_a_rank() -> None:
    means = {"a": 0.9, "b": 0.895, "c": 0.7, "d": 0.5}
    _, rows = _sweep({model: [mean - 0.01, mean, mean + 0.01] for model, mean in means.items()})
    comparison = Comparison(rows)
    assert comparison.ranks == [1, 1, 3, 4]
    # Six tests: a corrected p-value is never smaller than its own.
    pairs = [comparison.pair(i, j) for i in range(4) for j in range(i + 1, 4)]
    assert all(pair.recipe.corrected >= pair.recipe.p_value for pair in pairs)
    assert [(pair.first, pair.second) for pair in pairs[:3]] == [(0, 1), (0, 2), (0, 3)]
    assert comparison.tested == 6


def test_the_better_mean_of_two_seeds_is_not_ranked_behind() -> None:
    """Its first seed loses, its second wins by more."""
    _, rows = _sweep({"a": [0.86, 0.92], "b": [0.92, 0.80]}, images=10_000)
    comparison = Comparison(rows)
    assert [row.label for row in comparison.rows] == ["a", "b"]
    assert comparison.ranks == [1, 1]
    assert comparison.pair(0, 1).recipe.kind == "undecided"


def test_very_equal_recipes_are_equivalent_and_few_images_leave_it_open() -> None:
    seeds = [0.800, 0.801, 0.799]
    _, rows = _sweep({"a": seeds, "b": seeds[::-1]}, images=20_000)
    assert Comparison(rows).pair(0, 1).recipe.kind == "equivalent"
    assert Comparison(rows, equivalent_within=0.0001).pair(0, 1).recipe.kind == "undecided"
    _, rows = _sweep({"a": [0.80, 0.84, 0.76], "b": [0.76, 0.84, 0.80]}, images=200)
    assert Comparison(rows).pair(0, 1).recipe.kind == "undecided"


@pytest.mark.parametrize(("images", "kind"), [(50, "undecided"), (500, "equivalent")])
def test_to_agree_on_all_of_a_few_images_is_not_to_be_equivalent(images: int, kind: str) -> None:
    _, rows = _sweep({"a": [1.0, 1.0, 1.0], "b": [1.0, 1.0, 1.0]}, images=images)
    pair = Comparison(rows).pair(0, 1)
    assert (pair.recipe.kind, pair.network.kind) == (kind, kind)
    assert pair.recipe.p_value == pair.network.p_value == 1


def test_rows_come_in_order_of_validation_and_ranks_follow_the_test_images() -> None:
    runs, rows = _sweep({"a": [0.60, 0.61, 0.62], "b": [0.90, 0.91, 0.92]})
    for run in runs:
        run.metrics["best/val_acc"] = 0.8 if run.params["model.name"] == "a" else 0.7
    answers = {
        run.id: each for row in rows for run, each in zip(row.runs, row.predictions, strict=True)
    }
    comparison = Comparison(make_rows(runs, predictions=answers))
    assert [row.label for row in comparison.rows] == ["a", "b"]
    assert comparison.ranks == [2, 1]
    assert comparison.pair(0, 1).recipe.kind == "worse"
    decision = comparison.decision
    assert decision is not None
    assert (decision.chosen, decision.favourite) == (0, 1)


@pytest.mark.parametrize(
    "flaw", [{"protocol.validation": "test"}, {"protocol.augment_evaluation_of": "['b']"}]
)
def test_what_the_test_images_steered_has_no_rank_and_no_part_in_the_correction(
    flaw: dict[str, str],
) -> None:
    runs, rows = _sweep({"a": [0.8, 0.81], "b": [0.95, 0.96], "c": [0.7, 0.71]})
    answers = {
        run.id: each for row in rows for run, each in zip(row.runs, row.predictions, strict=True)
    }
    flawed = [
        dataclasses.replace(run, params=run.params | flaw)
        if run.params["model.name"] == "b"
        else run
        for run in runs
    ]
    comparison = Comparison(make_rows(flawed, predictions=answers))
    assert [row.keys["model"] for row in comparison.rows] == ["a", "c"]
    assert [row.keys["model"] for row in comparison.unsound] == ["b"]
    assert comparison.ranks == [1, 2] and comparison.tested == 1
    nothing = Comparison([row for row in make_rows(flawed) if not row.sound])
    assert nothing.rows == [] and nothing.ranks == [] and nothing.decision is None


def test_the_network_of_a_row_is_the_one_that_was_best_on_validation_images() -> None:
    runs = [make_run(model, 0, seed, 0.5) for model in "ab" for seed in (9, 10)]
    same = make_predictions([True, False] * 20)
    answers = {run.id: same for run in runs}
    answers["a-0-10"] = make_predictions([True] * 40)
    pair = Comparison(make_rows(runs, predictions=answers)).pair(0, 1)
    assert pair.network.p_value == 1
    runs[1].metrics["best/val_acc"] = 0.9
    pair = Comparison(make_rows(runs, predictions=answers)).pair(0, 1)
    assert pair.network.p_value == pytest.approx(stats.binomtest(0, 20).pvalue)


def test_networks_of_folds_are_compared_on_the_fold_of_the_first_ones() -> None:
    runs, answers = [], {}
    for model, accuracies in {"a": [0.7, 0.9, 0.8], "b": [0.6, 0.5, 0.7], "c": [0.5]}.items():
        for fold, accuracy in enumerate(accuracies):
            folds = {"data.fold": f"{fold}", "data.folds": "3", "data.test_digest": f"of {fold}"}
            run = make_run(model, 0, 0, accuracy, **folds, **{"data.pool_digest": "all"})
            run.tags["transfer.configuration"] = model
            runs.append(run)
            answers[run.id] = make_predictions(np.arange(100) < 100 * accuracy)
    comparison = Comparison(make_rows(runs, predictions=answers))
    assert [row.label for row in comparison.rows] == ["a", "b", "c"]
    # The best network of b is that of the last fold; c has none of the middle one.
    assert comparison.networks == [1, 1, 0]
    pair = comparison.pair(0, 1)
    assert pair.network.kind == "better"
    assert pair.network_difference.estimate == pytest.approx(0.4)
    assert 0.2 < pair.network_difference.low < 0.4 < pair.network_difference.high < 0.6
    apart = comparison.pair(0, 2)
    assert apart.network.missing == "images" and math.isnan(apart.network_difference.estimate)


def test_only_the_replicates_that_both_have_are_compared() -> None:
    more = [0.70, 0.71, 0.72, *[0.95] * 7]
    _, rows = _sweep({"a": more, "b": [0.95, 0.94, 0.96]})
    comparison = Comparison(rows)
    labels = [row.label for row in comparison.rows]
    pair = comparison.pair(0, 1)
    lead = pair.difference.estimate * (1 if labels == ["a", "b"] else -1)
    assert pair.replicates == 3 and lead == pytest.approx(0.71 - 0.95)


def test_rows_of_more_and_of_fewer_replicates_stand_in_any_order() -> None:
    _, rows = _sweep({"a": [0.9, 0.91], "b": [0.8, 0.81, 0.8], "c": [0.6, 0.61]})
    comparison = Comparison(rows)
    assert [row.label for row in comparison.rows] == ["a", "b", "c"]
    pairs = [comparison.pair(*indices) for indices in ((0, 1), (0, 2), (1, 2))]
    assert [(pair.replicates, pair.recipe.kind) for pair in pairs] == [(2, "better")] * 3
    leads = [0.1, 0.3, 0.2]
    assert [pair.difference.estimate for pair in pairs] == pytest.approx(leads)


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
