"""What a configuration that was not trained yet may come to, and which of several to spend time on.

Merit is minus the natural logarithm of the share of errors: 0.1 more is a tenth fewer errors. What
tuning is expected to add to a linear probe's is a prior, from the results that are recorded here:
with the last stage tuned, four networks had 0 to 32 % fewer errors than with the head alone
(experiments/results/photos); tuned as a whole, two had 10 and 36 % fewer than a linear probe
(experiments/results/cifar10). It decides what is tried, and never what is chosen: validation images
do that.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from transfer.compare.statistics import Floats

# Merit beyond that of a linear probe after very many epochs, and what is lacking after one: shorter
# trainings lack their part of that. By kind of tuning; "views" is the last stage, augmented.
_IN_THE_END = {"head": 0.0, "last:1": 0.15, "views": 0.25, "all": 0.4}
_AFTER_ONE = {"head": 0.3, "last:1": 0.8, "views": 1.1, "all": 1.6}
# Random weights need more of them.
_RAW = 4.0
# What nobody knows of a configuration: the standard deviation of its merit; and the same where
# another of its kind was trained.
SCATTER, OF_KNOWN_KIND = 0.15, 0.1
# Where an error rate is as low as that it says little.
_LEAST_ERROR = 0.002
# Merits for which chances are added up.
_PLACES = np.linspace(-4.0, 12.0, 1601)


class Prospect(NamedTuple):
    """What a configuration may come to: a normal distribution of its merit."""

    merit: float
    scatter: float


def merit_of(error: float) -> float:
    """The merit of a share of errors, or of a loss."""
    return -math.log(max(error, _LEAST_ERROR))


def expected_gain(kind: str, epochs: int, *, pretrained: bool = True) -> float:
    """Merit that a training adds to a linear probe's.

    Args:
        kind: "head", "last:1", "views" or "all".
    """
    lacking = _AFTER_ONE[kind] * (1.0 if pretrained else _RAW)
    return _IN_THE_END[kind] - lacking / epochs


def expected_best(prospects: Sequence[Prospect]) -> float:
    """The merit that the best of these is expected to have, at least one."""
    return _mean(math.prod((_below(each) for each in prospects), start=np.ones_like(_PLACES)))


def choose_worthy(
    prospects: Sequence[Prospect],
    costs: Sequence[float],
    fits: Callable[[Sequence[int]], bool],
    *,
    known: Sequence[Prospect] = (),
    first: Sequence[int] = (),
    least: float = 0.0,
) -> tuple[float, list[int]]:
    """Choose of what may be tried, one after another, what is expected to be worth most.

    Once by what it is worth and once by that for its time, for neither way is the better one in
    general; the better outcome counts.

    Args:
        costs: seconds of each.
        fits: whether there is time for these, by their places.
        known: what was tried already.
        first: the places of those that are chosen in any case.
        least: of expected merit that a further one has to add.

    Returns:
        The expected merit of the best, and the places of those chosen, in order of choice.
    """
    own = [_below(each) for each in prospects]
    there = math.prod((_below(each) for each in known), start=np.ones_like(_PLACES))
    best, chosen = _PLACES[0], list[int]()
    for divided in (costs, [1.0] * len(costs)):
        below, found = there, list[int]()
        for at in first:
            below = below * own[at]
        left = set(range(len(prospects))) - set(first)
        while True:
            mean = _mean(below)
            adds = {at: _mean(below * own[at]) - mean for at in left}
            ordered = sorted(adds, key=lambda at: (-adds[at] / max(divided[at], 0.1), at))
            worthy = (at for at in ordered if adds[at] > least)
            following = next((at for at in worthy if fits([*first, *found, at])), None)
            if following is None:
                break
            found.append(following)
            left.remove(following)
            below = below * own[following]
        if _mean(below) > best:
            best, chosen = _mean(below), [*first, *found]
    return float(best), chosen


def _below(prospect: Prospect) -> Floats:
    """The chance that a configuration comes to at most each merit [M]."""
    return np.asarray(ndtr((_PLACES - prospect.merit) / max(prospect.scatter, 0.01)))


def _mean(below: Floats) -> float:
    return float(_PLACES[-1] - np.trapezoid(below, _PLACES))
