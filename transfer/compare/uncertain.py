"""A normal estimate of which one part of the variance is known and the other estimated from few
values: its p-values and its intervals.

Two kinds of luck meet in a comparison. What test images bring is known well, for they are many;
what replicates bring is estimated from a handful. The sum of the two has no exact test. That of
Satterthwaite 1946 is too sure where replicates matter and are two or three, and far too sure in the
tails that a correction for many pairs looks at. This is the generalised p-value instead (Tsui and
Weerahandi 1989, JASA 84; Hannig, Iyer and Patterson 2006, JASA 101): the estimated part is taken as
distributed as its estimate says, V * freedom / Q with Q from chi-squared, and the normal tail is
averaged over Q. Without a known part it is Student's test, without an estimated one the normal's,
and between them it errs on the safe side.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr

from transfer.compare.statistics import Floats

_NODES = 64
# How many are computed at once: a million pairs must fit in memory.
_BLOCK = 4096
# Of Q's density, what lies further out cannot be seen in a p-value.
_NEGLIGIBLE = 30.0


@dataclass(frozen=True)
class Variance:
    """The variance of estimates, in two parts; arrays of one shape.

    Attributes:
        estimated: the part that was estimated from few values, at least 0.
        freedom: its degrees of freedom, above 0.
        least: what it cannot be below, whatever those values say.
        known: the other part, at least 0.
    """

    estimated: Floats
    freedom: Floats
    least: Floats
    known: Floats

    def __getitem__(self, chosen: Any) -> Self:
        return type(self)(*(each[chosen] for each in self.parts))

    @property
    def parts(self) -> tuple[Floats, Floats, Floats, Floats]:
        return self.estimated, self.freedom, self.least, self.known


def p_values(difference: ArrayLike, variance: Variance) -> Floats:
    """Two-sided p-values that a normal estimate's mean is 0.

    Args:
        difference: of the same shape as its variance.

    Returns:
        As many, 0 to 1; 1 where the difference is 0, and NaN where anything is.
    """
    arrays = np.broadcast_arrays(np.abs(difference), *variance.parts)
    shape, flat = arrays[0].shape, [np.ravel(each).astype(np.float64) for each in arrays]
    blocks = [
        _p_values(*(each[start : start + _BLOCK, None] for each in flat))
        for start in range(0, flat[0].size, _BLOCK)
    ]
    return np.concatenate([np.empty(0), *blocks]).reshape(shape)


def _p_values(
    size: Floats, estimated: Floats, freedom: Floats, least: Floats, known: Floats
) -> Floats:
    """Find the p-values [N] of arrays [N, 1]."""
    # In y = log(Q / freedom): smooth and falling to nothing at both ends, where the trapezoidal
    # rule converges fast.
    spread = np.sqrt(4 * _NEGLIGIBLE / freedom)
    low = -2 * _NEGLIGIBLE / freedom - spread
    high = np.minimum(spread, np.log1p(_NEGLIGIBLE / freedom) + 1)
    y = low + (high - low) * np.linspace(0, 1, _NODES)
    weights = np.exp(freedom / 2 * (y - np.expm1(y)))
    with np.errstate(divide="ignore", invalid="ignore"):
        scatter = np.maximum(estimated * np.exp(-y), least)
        tails = 2 * ndtr(-size / np.sqrt(scatter + known))
    found: Floats = (weights * tails).sum(axis=1) / weights.sum(axis=1)
    return np.where(size[:, 0] == 0, 1.0, np.minimum(found, 1.0))


def half_width(confidence: float, variance: Variance) -> float:
    """Half the interval that holds one mean with this confidence, such as 0.95."""
    if not all(np.isfinite(each) for each in variance.parts):
        return math.nan
    deviation = math.sqrt(max(variance.estimated, variance.least) + variance.known)
    if deviation == 0:
        return 0.0

    def excess(deviations: float) -> float:
        # In logarithms, in which tails are nearly straight.
        p_value = max(float(p_values(deviations * deviation, variance)), 1e-300)
        return math.log(p_value / (1 - confidence))

    high = 2.0
    # Student's with one degree of freedom needs 13.
    while excess(high) > 0:
        high *= 2
    return deviation * float(brentq(excess, high / 4, high, xtol=1e-6))
