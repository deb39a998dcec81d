"""What it may have cost to drop configurations before their end.

How much a configuration would still have gained after the epoch where it was dropped is told by
those that finished with as many epochs in all, of the same model where there are two: gains from
that epoch to the end, on a scale without bounds, are taken as normal, of which the finished ones
are a small sample. So a dropped one's end has Student's predictive distribution, with S - 1 degrees
of freedom and the variance (1 + 1/S) of theirs. With two that finished it is wide, as it should be.
What finished with other epochs tells nothing of gains, for a schedule's last epochs gain most; but
it may be the best, which is to be beaten.

Whoever was still rising steeply is told by that as well: a network from random weights starts low
and overtakes pretrained ones late. Its curve is carried on as it rose over the second half of its
epochs, in log odds over the logarithm of the epoch, less what the same says too much of those that
finished; where that leads higher, it is the mean, and half of what is added to it the further
uncertainty.

That slow learners are dropped and quick ones finish speaks against it; that the finished ones
differ in how they gain speaks for it. Replays of recorded runs say how often it comes true
(tests/compare/test_forgone.py, tests/proofs/test_halving.py).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from transfer.compare.curves import DOUBT, carried_on, unbounded
from transfer.compare.statistics import Floats

# Gains that are equal to so much are so by chance.
_LEAST_SPREAD = 1e-3
_LEVELS = 400


@dataclass(frozen=True)
class Forgone:
    """What dropping may have cost, on the validation images.

    Attributes:
        probability: that a dropped configuration would have been the best, 0 to 1.
        loss: how much better the best of them would have been on average, 0 where none would: a
            fraction of accuracy, or nats.
        finished: how many configurations this rests on.
    """

    probability: float
    loss: float
    finished: int


class Curve(NamedTuple):
    """A configuration as it learned.

    Attributes:
        scores: a value an epoch, more being better: accuracies, or losses with their sign turned.
        kind: those learn alike that have it in common.
        epochs: of its training in all, where these differ.
    """

    scores: Floats
    kind: Hashable = None
    epochs: int = 0


def estimate_forgone(finished: Sequence[Curve], dropped: Sequence[Curve]) -> Forgone | None:
    """Judge what was dropped by what finished, and by how it rose itself.

    Args:
        dropped: as far as they were trained: at least one epoch.

    Returns:
        None where fewer than two finished with the epochs of one that was dropped.
    """
    known = [each for each in finished if len(each.scores)]
    telling = {
        curve.epochs: [each for each in known if each.epochs == curve.epochs] for curve in dropped
    }
    if not telling or min(map(len, telling.values())) < 2:
        return None
    best = max(float(np.max(each.scores)) for each in known)
    loss = best <= 0
    # What a score may come to that is better; of a loss, 0.
    levels = np.linspace(best, 0.0 if loss else 1.0, _LEVELS)
    all_below = np.ones(_LEVELS)
    for curve in dropped:
        all_below *= _below(unbounded(levels, loss), curve, telling[curve.epochs], loss)
    lost = float(np.trapezoid(1 - all_below, levels))
    return Forgone(float(1 - all_below[0]), lost, sum(map(len, telling.values())))


def _below(levels: Floats, dropped: Curve, known: Sequence[Curve], loss: bool) -> Floats:
    """The chance that a curve would have ended below each of these levels, unbounded."""
    curve, epoch = dropped.scores, len(dropped.scores)
    last = max(len(each.scores) for each in known)
    alike = [each for each in known if each.kind == dropped.kind]
    curves = [each.scores for each in (alike if len(alike) > 1 else known)]
    ends = np.array([float(unbounded(np.max(each), loss)) for each in curves])
    gains = ends - [float(unbounded(np.max(each[:epoch]), loss)) for each in curves]
    spread = max(float(np.std(gains, ddof=1)), _LEAST_SPREAD) * np.sqrt(1 + 1 / len(gains))
    usual = float(unbounded(np.max(curve), loss) + np.mean(gains))
    errors = [carried_on(each[:epoch], last, loss) for each in curves] - ends
    own = carried_on(curve, last, loss) - max(float(np.mean(errors)), 0.0)
    more = max(own - usual, 0.0)
    spread = float(np.hypot(spread, DOUBT * more))
    return np.asarray(stats.t.cdf(levels, len(gains) - 1, usual + more, spread))
