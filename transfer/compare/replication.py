"""How many more replicates would decide."""

import math
from dataclasses import dataclass

from scipy import stats

MOST = 100
_POWER = 0.8
RESIDUAL = 0.17
_WOBBLE = 0.008


@dataclass(frozen=True)
class Needed:
    """What it takes to decide.

    Attributes:
        draws: how many more; None where `MOST` would not do.
        assumed: whether the scatter of replicates was not measured.
    """

    draws: int | None
    assumed: bool


def more_draws(
    lead: float, draw: float, rest: float, have: int, *, level: float, within: float, freedom: float
) -> int | None:
    """How many more draws would tell two recipes apart, or find them equivalent, with a power of
    80 %; None where 100 would not.

    Args:
        lead: the difference that is expected.
        draw, rest: of its variance what J draws divide by J, and what they do not.
        have: draws that both have already.
        level: of a two-sided test.
        within: differences smaller than this count as none.
        freedom: degrees of freedom that the scatter of draws has from other recipes.
    """
    power = float(stats.norm.ppf(_POWER))
    for more in range(1, MOST + 1):
        draws = have + more
        if draws < 2:
            continue
        error = math.sqrt(draw / draws + rest)
        degrees = freedom + draws - 1
        for distance, tail in ((abs(lead), level / 2), (within - abs(lead), 0.05)):
            if distance >= (float(stats.t.isf(tail, degrees)) + power) * error:
                return more
    return None


def assumed_draw(own: float, other: float, both: float, images: int) -> float:
    """The variance of one draw of a difference where none is measured.

    As in three trainings of each of two recipes on CIFAR-10 that the project recorded
    (experiments/results/cifar10): `RESIDUAL` of a network's variance over images is new with each
    training, and its score on very many images scatters by `_WOBBLE` of its standard deviation over
    images.

    Args:
        own, other: the variances of two networks' scores over test images.
        both: that of their difference.
        images: how many test images there are.
    """
    return min(RESIDUAL * (own + other), both) + _WOBBLE**2 * images * (own + other)
