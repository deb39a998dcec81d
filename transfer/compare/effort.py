"""What models reach with equal effort: the best of as many tries of each."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from transfer.compare.criterion import criterion_of
from transfer.compare.rows import Row
from transfer.compare.statistics import Floats

# Fewer values of a rate are no search.
_LEAST_RATES = 3
# The band holds this share of all orders of the tries.
BAND = 0.8


@dataclass(frozen=True)
class Effort:
    """What to expect of the best of 1, 2, … N tries, all [N].

    Attributes:
        expected: the mean over every choice of as many of the N tries.
        low, high: bounds within which it lies in 80 % of the choices, or more.
    """

    expected: Floats
    low: Floats
    high: Floats


def efforts(rows: Sequence[Row]) -> dict[str, Effort]:
    """By model, the best validation score to expect after some tries; a configuration is a try,
    and its score the mean over its runs. In the order of the rows; empty where no model has three
    configurations that differ in what its optimizer is told alone.
    """
    if not rows:
        return {}
    searched = Counter(
        tuple((key, value) for key, value in row.keys.items() if not key.startswith("optimizer."))
        for row in rows
    )
    if max(searched.values()) < _LEAST_RATES:
        return {}
    criterion = criterion_of(run for row in rows for run in row.runs)
    scores: dict[str, list[float]] = {}
    for row in rows:
        score = float(np.mean(row.metric(criterion.validation)))
        if math.isfinite(score):
            scores.setdefault(row.keys["model"], []).append(score)
    return {model: best_of(values, criterion.sign) for model, values in scores.items()}


def best_of(scores: ArrayLike, sign: int = 1) -> Effort:
    """The best of k out of N scores, drawn without replacement, for every k.

    Source: Dodge et al. 2019, "Show Your Work: Improved Reporting of Experimental Results", EMNLP,
    who draw with replacement, which is biased; without is not: Tang et al. 2020, "Showing Your Work
    Doesn't Always Work", ACL. Of these tries alone: the band tells of their order, and not of how
    others would have turned out.

    Args:
        scores: float [N].
        sign: 1 where more is better, -1 where less is.
    """
    ordered = np.sort(sign * np.asarray(scores, dtype=np.float64))
    count = len(ordered)
    ranks = np.arange(1, count + 1)
    expected, low, high = (np.empty(count) for _ in range(3))
    # The chance that all of k tries are among the `rank` lowest: C(rank, k) / C(N, k).
    below = np.ones(count)
    for index in range(count):
        below = below * np.maximum(ranks - index, 0) / (count - index)
        expected[index] = np.diff(below, prepend=0) @ ordered
        for bound, share in ((low, (1 - BAND) / 2), (high, (1 + BAND) / 2)):
            # Rounding must not make a rank of what is exactly the share.
            bound[index] = ordered[np.searchsorted(below, share - 1e-12)]
    # Where more than 80 % of the choices have the very best, the mean is still below it.
    low = np.minimum(low, expected)
    if sign < 0:
        return Effort(-expected, -high, -low)
    return Effort(expected, low, high)
