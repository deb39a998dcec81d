"""The tutorial's observations, from runs whose answers are known."""

from __future__ import annotations

import numpy as np

from tests.compare.runs import make_history, make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.rows import Row
from transfer.report.document import Block, to_markdown
from transfer.report.language import Words
from transfer.report.observations import observations


def _observations(rows: list[Row]) -> list[Block]:
    return observations(Comparison(rows), Words())


def test_each_observation_is_answered_from_the_curves() -> None:
    runs = [
        make_run("simple_cnn", 0, 0, 0.60, weights="none"),
        make_run("a", 0, 0, 0.50, weights="none"),
        make_run("a", 1, 0, 0.75, weights="starter"),
    ]
    histories = {
        "simple_cnn-0-0-none": make_history([0.5, 0.65, 0.70], [0.4, 0.5, 0.6]),
        "a-0-0-none": make_history([0.3, 0.4, 0.5], [0.2, 0.3, 0.5]),
        "a-1-0-starter": make_history([0.2, 0.5, 0.7], [0.3, 0.7, 0.7]),
    }
    text = to_markdown(_observations(make_rows(runs, histories)))
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    [starter] = [line for name, line in lines.items() if "starter" in name]
    assert "epoch 2, 1 of them beyond the head" in starter
    # Epochs 1 and 2; in epoch 3 the two are equal.
    assert "2 of 3 epochs" in starter
    # One seed each, and no predictions to test by.
    assert "+25.00, not known" in starter
    [scratch] = [line for name, line in lines.items() if name.startswith("a ") and "none" in name]
    assert "never" in scratch and "0 of 3 epochs" in scratch
    assert "60.00 % after 3 epochs" in text


def test_without_a_plain_cnn_the_report_says_so() -> None:
    run = make_run("a", 0, 0, 0.5, weights="none")
    rows = make_rows([run], {run.id: make_history([0.1], [0.2])})
    text = to_markdown(_observations(rows))
    assert "not among these runs" in text
    assert "1 of 1 epochs" in text


def test_the_gain_is_over_the_same_recipe_alone() -> None:
    runs = [
        make_run("a", 0, 0, 0.40, weights="none", epochs="3"),
        make_run("a", 0, 0, 0.70, weights="none", epochs="9"),
        make_run("a", 5, 0, 0.60, weights="starter", epochs="3"),
    ]
    text = to_markdown(_observations(make_rows(runs)))
    assert "+20.00" in text and "−10.00" not in text


def test_a_gain_that_a_test_did_not_find_is_told_as_such() -> None:
    runs = [make_run("a", 0, 0, 0.52, weights="starter"), make_run("a", 0, 0, 0.5, weights="none")]
    answers = {
        run.id: make_predictions([True] * right + [False] * (50 - right))
        for run, right in zip(runs, (26, 25), strict=True)
    }
    text = to_markdown(_observations(make_rows(runs, predictions=answers)))
    assert "+2.00, not decided" in text


def test_without_a_sound_row_the_curves_are_told_still() -> None:
    runs = [
        make_run("a", 0, 0, accuracy, weights=weights, **{"protocol.validation": "test"})
        for weights, accuracy in (("starter", 0.7), ("none", 0.5))
    ]
    text = to_markdown(_observations(make_rows(runs)))
    # No verdict, for it was the test images that steered.
    assert "+20.00" in text and "+20.00," not in text


def test_a_gain_is_that_of_what_the_verdict_beside_it_is_about() -> None:
    # One seed in common says nothing of the recipes. The networks to use are those of seeds 0
    # and 2, which are 15 points apart; the means are 2.5.
    right = {("starter", 0): 95, ("starter", 1): 60, ("none", 1): 70, ("none", 2): 80}
    runs = [
        make_run("a", 0, seed, share / 100, weights=weights)
        for (weights, seed), share in right.items()
    ]
    answers = {
        run.id: make_predictions(np.arange(100) < share)
        for run, share in zip(runs, right.values(), strict=True)
    }
    text = to_markdown(_observations(make_rows(runs, predictions=answers)))
    assert "+15.00" in text and "+2.50" not in text
