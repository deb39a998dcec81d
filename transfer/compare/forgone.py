"""What it may have cost to drop configurations before their end.

How much a configuration would still have gained after the epoch where it was dropped is told by
those that finished: gains from that epoch to the end, on a scale without bounds, are taken as
normal, of which the finished ones are a small sample. So a dropped one's end has Student's
predictive distribution, with S - 1 degrees of freedom and the variance (1 + 1/S) of theirs. With
two that finished it is wide, as it should be.

Whoever was still rising steeply is told by that as well: a network from random weights starts low
and overtakes pretrained ones late. Its curve is carried on as it rose over the second half of its
epochs, in log odds over the logarithm of the epoch, less what the same says too much of those that
finished; where that leads higher, it is the mean, and half of what is added to it the further
uncertainty.

That slow learners are dropped and quick ones finish speaks against it; that the finished ones
differ in how they gain speaks for it. Replays of recorded runs say how often it comes true
(tests/compare/test_forgone.py, tests/proofs/test_halving.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from transfer.compare.curves import DOUBT, bounded, carried_on, unbounded
from transfer.compare.statistics import Floats

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


def estimate_forgone(finished: Sequence[Floats], dropped: Sequence[Floats]) -> Forgone | None:
    """Judge what was dropped by what finished, and by how it rose itself.

    Args:
        finished: of each configuration its score, a value an epoch, more being better: accuracies,
            or losses with their sign turned.
        dropped: of each configuration the same, as far as it was trained: at least one epoch.

    Returns:
        None where fewer than two finished.
    """
    curves = [each for each in finished if len(each)]
    if len(curves) < 2:
        return None
    loss = max(float(np.max(each)) for each in curves) <= 0
    ends = [unbounded(np.max(each), loss) for each in curves]
    best = max(float(np.max(each)) for each in curves)
    kept, lost = 1.0, 0.0
    levels = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    for curve in dropped:
        epoch, last = len(curve), max(map(len, curves))
        gains = [
            float(end - unbounded(np.max(each[:epoch]), loss))
            for end, each in zip(ends, curves, strict=True)
        ]
        spread = max(float(np.std(gains, ddof=1)), _LEAST_SPREAD) * np.sqrt(1 + 1 / len(gains))
        usual = float(unbounded(np.max(curve), loss) + np.mean(gains))
        errors = [
            carried_on(each[:epoch], last, loss) - end
            for end, each in zip(ends, curves, strict=True)
        ]
        own = carried_on(curve, last, loss) - max(float(np.mean(errors)), 0.0)
        more = max(own - usual, 0.0)
        end = stats.t(len(gains) - 1, usual + more, np.hypot(spread, DOUBT * more))
        kept *= float(end.cdf(unbounded(best, loss)))
        values = bounded(end.ppf(levels), loss)
        lost += float(np.maximum(values - best, 0).mean())
    return Forgone(1 - kept, lost, len(curves))
