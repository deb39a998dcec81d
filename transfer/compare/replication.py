"""How many more replicates would decide."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from transfer.compare.networks import Networks
from transfer.compare.recipes import Recipes
from transfer.compare.rows import Row
from transfer.compare.statistics import CONFIDENCE
from transfer.compare.verdicts import Verdicts

Need = Literal["nothing", "replicates", "splits", "images", "unknown"]

MOST = 100
_POWER = 0.8
RESIDUAL = 0.17
_TRAINING = 0.008


@dataclass(frozen=True)
class Needed:
    """What it takes to decide between two rows.

    Attributes:
        what: as `Decision.needs` has it.
        trainings: how many more of the one, and of the other.
        assumed: whether the scatter of replicates was not measured.
    """

    what: Need
    trainings: tuple[int, int] = (0, 0)
    assumed: bool = False

    @property
    def known(self) -> bool:
        """Whether so many trainings would do."""
        return self.what not in ("images", "unknown")


def find_needed(
    rows: Sequence[Row],
    rival: int,
    recipes: Recipes,
    networks: Networks,
    verdicts: Verdicts,
    *,
    lead: float,
    within: float,
) -> Needed:
    """What would decide between the first row and its rival, which it is expected to lead by so
    much."""
    found, scatter = recipes.found, recipes.scatter
    have = int(recipes.draws[0, rival])
    if recipes.tested[0, rival]:
        if verdicts.verdict(0, rival).kind != "undecided":
            return Needed("nothing")
        variance = found.variance[0, rival]
        # Draws that came out alike are no nearer to each other than their images leave them.
        draw = max(float(found.draw[0, rival]), have * float(variance.least))
        total = float(np.maximum(variance.estimated, variance.least) + variance.known)
        rest, assumed = max(total - draw / have, 0.0), False
    else:
        one, other = networks.own[0], networks.own[rival]
        total = float(networks.variance[0, rival])
        if not math.isfinite(total):
            total = float(one + other)
        # Replicates in common that were not tested lack answers, and more of them would not help.
        if have > 1 or not math.isfinite(total):
            return Needed("unknown")
        assumed = scatter.freedom == 0
        images = networks.images[0]
        draw = assumed_draw(one, other, total, images) if assumed else 2 * scatter.variance
        # What one draw has of the images alone is in the difference of these two networks.
        rest = max(total - min(draw, RESIDUAL * float(one + other)), 0.0)
    level = (1 - CONFIDENCE) / max(verdicts.undecided, 1)
    freedom = min(scatter.freedom, 2.0)
    more = more_draws(lead, draw, rest, have, level=level, within=within, freedom=freedom)
    if more is None:
        return Needed("images", assumed=assumed)
    what, trainings = _trainings(rows[0], rows[rival], more)
    return Needed(what, trainings, assumed)


def _trainings(one: Row, other: Row, more: int) -> tuple[Need, tuple[int, int]]:
    """What each of two rows lacks of so many more draws in common, in trainings."""
    replicates = [set(row.replicates) for row in (one, other)]
    splits = {each.split for own in replicates for each in own}
    folds = int(one.params.get("data.folds", "0")) if one.replicates[0].fold >= 0 else 0
    by_split = len(splits) > 1 or folds > 0
    draws: list[set[tuple[int, ...]]] = [
        {each.split if by_split else each for each in own} for own in replicates
    ]
    what: Need = "replicates"
    if folds:
        # The folds of one data seed are so many; those of another come all together.
        left = folds * len({seed for seed, _ in splits}) - len(draws[0] & draws[1])
        if more > left:
            what, more = "splits", left + folds * math.ceil((more - left) / folds)
    # A draw that one of them has already costs the other one alone.
    its = min(len(draws[1] - draws[0]), more)
    mine = min(len(draws[0] - draws[1]), more - its)
    each = math.ceil(max(len(a) / len(b) for a, b in zip(replicates, draws, strict=True)))
    return what, (each * (more - mine), each * (more - its))


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
    training, and its score on very many images scatters by `_TRAINING` of its standard deviation
    over images.

    Args:
        own, other: the variances of two networks' scores over test images.
        both: that of their difference.
        images: how many test images there are.
    """
    return min(RESIDUAL * (own + other), both) + _TRAINING**2 * images * (own + other)
