"""What it may have cost to drop configurations before their end.

How much a configuration would still have gained after the epoch where it was dropped is told by
those that finished: gains from that epoch to the end, on a scale without bounds, are taken as
normal, of which the finished ones are a small sample. So a dropped one's end has Student's
predictive distribution, with S - 1 degrees of freedom and the variance (1 + 1/S) of theirs. With
two that finished it is wide, as it should be.

That slow learners are dropped and quick ones finish speaks against it; that the finished ones
differ in how they gain speaks for it. Replays of recorded runs say how often it comes true
(tests/compare/test_forgone.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import expit, logit

from transfer.compare.statistics import Floats

# Of a few validation images all may be right, which no network is in the long run.
_CERTAIN = 0.005
# Gains that are equal to so much are so by chance.
_LEAST_SPREAD = 1e-3
_QUANTILES = 512


@dataclass(frozen=True)
class Forgone:
    """What dropping may have cost, on the validation images.

    Attributes:
        probability: that a dropped configuration would have been the best, 0 to 1.
        loss: how much better it would have been, times how likely that is, summed over all: a
            fraction of accuracy, or nats; the mean of what is lost is no more.
        finished: how many configurations this rests on.
    """

    probability: float
    loss: float
    finished: int


def estimate_forgone(
    finished: Sequence[Floats], dropped: Sequence[tuple[int, float]]
) -> Forgone | None:
    """Judge what was dropped by what finished.

    Args:
        finished: of each configuration its best score so far, a value an epoch, more being better:
            accuracies, or losses with their sign turned.
        dropped: of each configuration the epoch after which it was dropped, from 1, and its best
            score until then.

    Returns:
        None where fewer than two finished.
    """
    curves = [each for each in finished if len(each)]
    if len(curves) < 2:
        return None
    loss = max(float(each[-1]) for each in curves) <= 0
    best = max(float(each[-1]) for each in curves)
    kept, lost = 1.0, 0.0
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    for epoch, score in dropped:
        gains = [
            float(_unbounded(each[-1], loss) - _unbounded(each[min(epoch, len(each)) - 1], loss))
            for each in curves
        ]
        spread = max(float(np.std(gains, ddof=1)), _LEAST_SPREAD)
        scale = spread * np.sqrt(1 + 1 / len(gains))
        end = stats.t(len(gains) - 1, _unbounded(score, loss) + np.mean(gains), scale)
        kept *= float(end.cdf(_unbounded(best, loss)))
        ends = _bounded(end.ppf(levels), loss)
        lost += float(np.maximum(ends - best, 0).mean())
    return Forgone(1 - kept, lost, len(curves))


def _unbounded(score: ArrayLike, loss: bool) -> Floats:
    """An accuracy as log odds, a loss with its sign turned as its logarithm."""
    values = np.asarray(score, dtype=np.float64)
    if loss:
        return -np.log(np.maximum(-values, 1e-6))
    return np.asarray(logit(np.clip(values, _CERTAIN, 1 - _CERTAIN)))


def _bounded(values: Floats, loss: bool) -> Floats:
    return -np.exp(-np.clip(values, -50, 50)) if loss else np.asarray(expit(values))
