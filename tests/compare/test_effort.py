"""The best of some tries, against every choice of them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from tests.compare.runs import make_rows, make_run
from transfer.compare.effort import best_of, efforts


@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_of_some_tries_is_that_of_every_choice(sign: int) -> None:
    scores = [0.5, 0.9, 0.1, 0.9, 0.7, 0.65, 0.2]
    effort = best_of(scores, sign)
    for tries in range(1, len(scores) + 1):
        best = [sign * max(sign * score for score in each) for each in combinations(scores, tries)]
        assert effort.expected[tries - 1] == pytest.approx(np.mean(best))
        low, high = effort.low[tries - 1], effort.high[tries - 1]
        inside = np.mean([(low <= each) & (each <= high) for each in best])
        assert inside >= 0.8
        # No narrower one on either side would do.
        assert np.mean([each < low for each in best]) <= 0.1 + 1e-9
        assert np.mean([each > high for each in best]) <= 0.1 + 1e-9
    assert effort.expected[-1] == effort.low[-1] == effort.high[-1] == (0.9 if sign > 0 else 0.1)


def test_it_is_unbiased() -> None:
    """Over many sweeps of five tries, what it says of three is what three tries give."""
    random = np.random.default_rng(0)
    said = [best_of(random.random(5)).expected[2] for _ in range(4000)]
    # The largest of three uniform numbers.
    assert np.mean(said) == pytest.approx(0.75, abs=0.005)


def test_many_tries_take_no_time_and_no_nan() -> None:
    effort = best_of(np.linspace(0, 1, 500))
    assert (np.diff(effort.expected) > -1e-12).all()
    assert effort.expected[[0, -1]] == pytest.approx([0.5, 1])
    assert (effort.low <= effort.expected).all()
    assert (effort.expected <= effort.high + 1e-12).all()


def test_a_model_counts_all_that_was_tried_of_it() -> None:
    rates = {"a": ("0.1", "0.2", "0.3"), "b": ("0.1",)}
    runs = [
        make_run(model, freeze, 0, 0.5 + float(rate), **{"optimizer.lr": rate})
        for model, values in rates.items()
        for rate in values
        for freeze in ((0, 5) if model == "a" else (0,))
    ]
    # A second seed of one: a try is a configuration, not a run.
    runs.append(make_run("b", 0, 1, 0.8, **{"optimizer.lr": "0.1"}))
    found = efforts(make_rows(runs))
    assert {model: len(effort.expected) for model, effort in found.items()} == {"a": 6, "b": 1}
    assert found["a"].expected[[0, -1]] == pytest.approx([0.7, 0.8])
    assert found["b"].expected == pytest.approx([0.7])


def test_without_a_search_of_rates_there_is_nothing_to_compare() -> None:
    # Three configurations that differ in the rate, but in another choice as well.
    runs = [
        make_run("a", freeze, 0, 0.5, **{"optimizer.lr": rate})
        for freeze, rate in ((0, "0.1"), (1, "0.2"), (2, "0.3"), (2, "0.4"))
    ]
    assert efforts(make_rows(runs)) == {}
    assert efforts([]) == {}
