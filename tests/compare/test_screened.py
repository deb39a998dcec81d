"""What a screen's answers come to, and how its agreement with the outcome is told."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.compare.runs import make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.screened import agreement, agreement_with, hopeless, placings


def _correct(*shares: float) -> np.ndarray:
    """Candidates that are right about so much of 1,000 images, the same ones first."""
    return np.array([np.arange(1000) < 1000 * share for share in shares])


def test_ranks_follow_significance_and_the_front_cost() -> None:
    found = placings(_correct(0.80, 0.804, 0.70, 0.60), [5.0, 9.0, 1.0, 2.0])
    assert [each.rank for each in found] == [1, 1, 3, 4]
    assert [each.on_front for each in found] == [True, True, True, False]
    accuracy = found[0].accuracy
    assert accuracy.estimate == 0.8
    assert accuracy.low == pytest.approx(0.774, abs=0.001)
    [alone] = placings(_correct(0.5), [1.0])
    assert (alone.rank, alone.on_front) == (1, True)


def test_hopeless_is_what_lies_beyond_both_intervals_and_the_margin() -> None:
    assert hopeless([0.80, 0.70, 0.60], [0.84, 0.74, 0.69]) == [False, False, True]


def _screened(**columns: list[float]) -> pd.DataFrame:
    names = {"model": list("abcd"), "weights_digest": ["w"] * 4, "image_size": [32] * 4}
    return pd.DataFrame({**names, **columns})


def test_agreement_is_kendalls_tau_and_whether_the_winner_would_be_gone() -> None:
    linear = [0.9, 0.8, 0.7, 0.5]
    screened = _screened(
        linear=linear,
        linear_low=[each - 0.02 for each in linear],
        linear_high=[each + 0.02 for each in linear],
        params=[1.0, 2.0, 3.0, 4.0],
        imagenet=[0.7, 0.6, math.nan, math.nan],
    )
    outcomes = {("a", "w", 32): 0.95, ("b", "w", 32): 0.90, ("c", "w", 32): 0.92}
    found = agreement(screened, outcomes, ("a", "w", 32))
    assert found is not None
    assert (found.candidates, found.tau, found.tau_of_size) == pytest.approx((3, 1 / 3, -1 / 3))
    assert found.known_on_imagenet == 2 and math.isnan(found.tau_of_imagenet)
    assert (found.dropped, found.dropped_winner) == (1, False)
    outcomes["d", "w", 32] = 0.97
    found = agreement(screened, outcomes, ("d", "w", 32))
    assert found is not None and (found.dropped, found.dropped_winner) == (2, True)


def test_there_is_nothing_to_agree_with_on_other_candidates() -> None:
    empty = _screened(**dict.fromkeys(("linear", "linear_low", "linear_high"), [0.5] * 4))
    other_size = {(model, "w", 64): 0.5 for model in "abcd"}
    assert agreement(empty, other_size, ("a", "w", 64)) is None
    assert agreement(empty, {("a", "w", 32): 0.5, ("b", "w", 32): 0.6}, ("a", "w", 32)) is None


def test_the_outcome_is_what_the_best_configuration_of_each_candidate_gave() -> None:
    digest = {"weights.digest": "w", "image_size": "32"}
    runs = [
        make_run(model, freeze, 0, accuracy, **digest)
        for model, freeze, accuracy in (
            *(("a", 0, 0.5), ("a", 5, 0.9), ("b", 0, 0.8), ("b", 5, 0.7)),
            *(("c", 0, 0.6), ("c", 5, 0.4)),
        )
    ]
    linear = [0.7, 0.6, 0.9, 0.2]
    screened = _screened(
        linear=linear,
        linear_low=linear,
        linear_high=linear,
        params=[4.0, 3.0, 2.0, 1.0],
        imagenet=[math.nan] * 4,
    )
    found = agreement_with(Comparison(make_rows(runs)), screened)
    # The screen's order is c, a, b; that of the trainings, and of size, a, b, c.
    assert found is not None
    assert (found.candidates, found.tau, found.tau_of_size) == pytest.approx((3, -1 / 3, 1))
    assert (found.dropped, found.dropped_winner) == (2, True)
