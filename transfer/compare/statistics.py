"""The statistics of a comparison: intervals, paired tests, a correction for many, Pareto fronts.

Arrays in, arrays out: every function does all pairs at once, so that a report of a thousand runs
takes seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

CONFIDENCE = 0.95

Over = Literal["both", "seeds", "images", "nothing"]


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its confidence interval; NaN where there is none.

    Attributes:
        over: what the interval is about: the luck of replicates and that of test images, both or
            one of them.
    """

    estimate: float
    low: float = math.nan
    high: float = math.nan
    over: Over = "nothing"

    @property
    def known(self) -> bool:
        return self.over != "nothing"


def student_interval(values: ArrayLike) -> Interval:
    """The mean of independent values [S], such as one a seed, NaN left out; without bounds for
    fewer than two.

    Source: Student 1908, "The probable error of a mean", Biometrika 6.
    """
    return paired_differences(np.atleast_2d(values)).interval(0)


def wilson_interval(correct: int, total: int) -> Interval:
    """A share, such as an accuracy: what a finite test set says of one trained network.

    Source: Wilson 1927, "Probable inference", JASA 22.
    """
    if total == 0:
        return Interval(math.nan)
    bounds = stats.binomtest(correct, total).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(correct / total, float(bounds.low), float(bounds.high), "images")


@dataclass(frozen=True)
class PairedDifferences:
    """Means of paired differences, and what Student's test says of each; all arrays [P].

    Attributes:
        count: pairs of values behind each mean.
        mean, low, high: with the bounds of its interval, NaN for fewer than two pairs.
        p_value: two-sided, that the true mean is 0; NaN for fewer than two pairs.
    """

    count: NDArray[np.int64]
    mean: Floats
    low: Floats
    high: Floats
    p_value: Floats

    def interval(self, index: int) -> Interval:
        mean, low, high = (float(each[index]) for each in (self.mean, self.low, self.high))
        return Interval(mean, low, high, "seeds" if self.count[index] > 1 else "nothing")


def paired_differences(differences: Floats) -> PairedDifferences:
    """Student's paired test of many sets of differences at once.

    Args:
        differences: [P, S], NaN where a pair lacks one of its two values. Where all of a row are
            the same, there is no spread to judge by: its p-value is 1 if they are 0, else 0.
    """
    known = np.isfinite(differences)
    count = known.sum(axis=1)
    values = np.where(known, differences, 0.0)
    mean = np.where(count > 0, values.sum(axis=1) / np.maximum(count, 1), np.nan)
    squares = np.where(known, differences - mean[:, None], 0.0) ** 2
    freedom = np.maximum(count - 1, 1)
    error = np.sqrt(squares.sum(axis=1) / freedom / np.maximum(count, 1))
    half = np.where(count > 1, stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * error, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = 2 * stats.t.sf(np.abs(mean / error), freedom)
    # Differences that are equal up to rounding have no spread.
    certain = np.where(np.abs(mean) < 1e-12, 1.0, 0.0)
    p_value = np.where(error > 1e-12, p_value, certain)
    return PairedDifferences(
        count, mean, mean - half, mean + half, np.where(count > 1, p_value, np.nan)
    )


def mcnemar_p_values(only_first: Floats, only_second: Floats) -> Floats:
    """Exact two-sided p-values of McNemar's test that two classifiers err equally often.

    Source: McNemar 1947, Psychometrika 12; recommended by Dietterich 1998, Neural Computation 10.

    Args:
        only_first, only_second: how many test images only the one, or only the other, got right.

    Returns:
        As many; 1 where the classifiers differ on no image.
    """
    total = only_first + only_second
    least = np.minimum(only_first, only_second)
    return np.minimum(2 * stats.binom.cdf(least, total, 0.5), 1.0)


def random_signs_p_values(differences: Floats, variances: Floats) -> Floats:
    """Two-sided p-values that two classifiers are equally good, each test image counting as its
    class wants: by the normal approximation of all ways to swap their answers on an image.

    With images that count alike it is McNemar's test without correction for continuity.

    Args:
        differences: of the weighted shares of images that they got right.
        variances: of the same if signs were random: the sum of squared weights over the images
            that only one of them got right.

    Returns:
        As many; 1 where the classifiers differ on no image.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = 2 * stats.norm.sf(np.abs(differences) / np.sqrt(variances))
    return np.where(variances > 0, p_values, 1.0)


def holm(p_values: Floats) -> Floats:
    """P-values corrected for all of them: the chance that any finding is false stays bounded.

    Source: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    # The one thing here that scipy lacks; statsmodels would bring five packages for these lines.
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.maximum.accumulate(p_values[order] * factors).clip(max=1)
    result = np.empty_like(corrected)
    result[order] = corrected
    return result


def pareto_front(accuracies: Sequence[float], costs: Sequence[float]) -> list[bool]:
    """Which points no other point beats: none is at least as accurate and at least as cheap, and
    better in one of the two. A point with a number missing is not on the front."""
    points = np.array([accuracies, np.negative(costs)]).T
    known = np.isfinite(points).all(axis=1)
    others = points[known][:, None]
    beaten = (others >= points).all(axis=2) & (others > points).any(axis=2)
    return (known & ~beaten.any(axis=0)).tolist()
