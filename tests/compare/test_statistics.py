"""Intervals and tests against scipy, statsmodels and the truth of simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from transfer.compare.statistics import (
    holm,
    mcnemar_p_values,
    paired_differences,
    student_interval,
    wilson_interval,
)

ACCURACIES = np.array([0.9034, 0.9102, 0.8991, 0.9077, 0.9051])
OTHERS = np.array([0.8975, 0.9033, 0.8964, 0.9068, 0.8988])


def test_a_worked_example_agrees_with_scipy_and_statsmodels() -> None:
    interval = student_interval(ACCURACIES)
    expected = stats.t.interval(0.95, 4, loc=ACCURACIES.mean(), scale=stats.sem(ACCURACIES))
    assert [interval.low, interval.high] == pytest.approx(list(expected), abs=1e-9)

    share = wilson_interval(9034, 10000)
    expected = proportion_confint(9034, 10000, method="wilson")
    assert [share.low, share.high] == pytest.approx(list(expected), abs=1e-9)

    paired = stats.ttest_rel(ACCURACIES, OTHERS)
    found = paired_differences((ACCURACIES - OTHERS)[None])
    bounds = paired.confidence_interval(0.95)
    assert found.p_value[0] == pytest.approx(paired.pvalue, abs=1e-9)
    assert [found.low[0], found.high[0]] == pytest.approx([bounds.low, bounds.high], abs=1e-9)

    for first, second in [(120, 80), (7, 1), (3, 3), (0, 5)]:
        ours = mcnemar_p_values(np.array([float(first)]), np.array([float(second)]))[0]
        theirs = mcnemar([[50, first], [second, 50]], exact=True).pvalue
        assert ours == pytest.approx(theirs, abs=1e-9)

    p_values = np.array([0.04, 0.001, 0.03, 0.2, 0.012])
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-9)


def test_many_pairs_at_once_equal_each_alone_with_gaps_left_out() -> None:
    differences = np.array([[0.1, 0.2, 0.4, 0.3], [0.1, math.nan, -0.2, 0.1]])
    found = paired_differences(differences)
    assert found.count.tolist() == [4, 3]
    for place, values in enumerate((differences[0], differences[1][[0, 2, 3]])):
        expected = stats.ttest_1samp(values, 0)
        assert found.p_value[place] == pytest.approx(expected.pvalue, abs=1e-12)
        assert found.mean[place] == pytest.approx(values.mean(), abs=1e-12)


def test_without_spread_or_without_seeds_there_is_no_division_by_zero() -> None:
    differences = np.array([[0.0, 0.0, 0.0], [0.1, 0.1, 0.1], [0.1, np.nan, np.nan], [np.nan] * 3])
    found = paired_differences(differences)
    assert found.p_value[:2].tolist() == [1.0, 0.0]
    assert np.isnan(found.p_value[2:]).all()
    assert np.isnan(found.low[2:]).all()
    assert not student_interval(np.array([0.5])).known
    assert not wilson_interval(0, 0).known
    assert holm(np.array([])).tolist() == []


def _coverage(inside: np.ndarray) -> float:
    return float(inside.mean())


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """A coverage of 95 % over 2,000 simulations has a standard error of half a point."""
    random = np.random.default_rng(0)
    seeds = random.normal(0.8, 0.01, (2000, 5))
    intervals = [student_interval(values) for values in seeds]
    inside = np.array([interval.low <= 0.8 <= interval.high for interval in intervals])
    assert 0.93 <= _coverage(inside) <= 0.97

    differences = random.normal(0.003, 0.01, (4000, 4))
    found = paired_differences(differences)
    assert 0.93 <= _coverage((found.low <= 0.003) & (found.high >= 0.003)) <= 0.97

    correct = random.binomial(1000, 0.87, 2000)
    shares = [wilson_interval(int(count), 1000) for count in correct]
    inside = np.array([share.low <= 0.87 <= share.high for share in shares])
    assert 0.93 <= _coverage(inside) <= 0.97


def test_equal_models_are_told_apart_in_about_one_case_in_twenty() -> None:
    random = np.random.default_rng(1)
    # Two networks, each right on 85 % of 10,000 images, differ on about 1,500 of them.
    only_first = random.binomial(1500, 0.5, 20000).astype(float)
    rejected = mcnemar_p_values(only_first, 1500 - only_first) < 0.05
    assert 0.04 <= rejected.mean() <= 0.055
    found = paired_differences(random.normal(0, 0.01, (20000, 5)))
    assert 0.045 <= (found.p_value < 0.05).mean() <= 0.055
