"""Where a learning curve leads: a score by epoch, carried on to the last one.

On a scale without bounds (log odds of an accuracy, the logarithm of a loss) learning curves rise
about as the logarithm of the epoch over a stretch; how they go on is guessed from the second half
of what there is of them.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from transfer.compare.statistics import Floats

# Of a few validation images all may be right, which no network is in the long run.
_CERTAIN = 0.005
# Of what a curve's own rise adds, so much may be wrong; so much less is counted on.
DOUBT = 0.5


def carried_on(curve: Floats, last: int, loss: bool) -> float:
    """Where a curve comes to by its last epoch, unbounded, if it goes on as it rose over the second
    half of its epochs; where it stands, if it fell or has one epoch alone."""
    return _now_and_more(curve, last, loss)[1]


def forecast(curve: Floats, last: int, loss: bool) -> float:
    """What score a curve is to be counted on to have by its last epoch, unbounded: its best so far,
    and half of what that comes to if it goes on as it rose.

    Args:
        curve: a score an epoch, more being better: accuracies, or losses with their sign turned.
        last: the epoch in which it ends.
        loss: whether it is one.
    """
    now, then = _now_and_more(np.maximum.accumulate(curve), last, loss)
    return now + (1 - DOUBT) * (then - now)


def _now_and_more(curve: Floats, last: int, loss: bool) -> tuple[float, float]:
    epoch, half = len(curve), max(-(-len(curve) // 2), 1)
    now, before = (float(unbounded(curve[at - 1], loss)) for at in (epoch, half))
    if half == epoch:
        return now, now
    return now, now + max(now - before, 0.0) / np.log(epoch / half) * np.log(max(last / epoch, 1.0))


def unbounded(score: ArrayLike, loss: bool) -> Floats:
    """An accuracy as log odds, a loss with its sign turned as its logarithm."""
    values = np.asarray(score, dtype=np.float64)
    if loss:
        return -np.log(np.maximum(-values, 1e-6))
    return np.asarray(logit(np.clip(values, _CERTAIN, 1 - _CERTAIN)))


def bounded(values: ArrayLike, loss: bool) -> Floats:
    """The inverse of `unbounded`."""
    return -np.exp(-np.clip(values, -50, 50)) if loss else np.asarray(expit(values))
