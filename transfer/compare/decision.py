"""What to take, how sure that is, and what would make it surer.

The true scores of the upper rows are taken as drawn from a normal distribution, of a spread that is
not known and is averaged over, and the measured ones as scattered about them as the crossed model
says: Bayes' rule then shrinks their differences, the more the less is known (Gelman et al. 2013,
"Bayesian Data Analysis", chapter 5). Draws from what follows say how often each row is the best,
and how much is lost by taking the one that validation chose.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from transfer.compare.criterion import Criterion
from transfer.compare.guessing import is_guessing, known_mean
from transfer.compare.networks import Networks
from transfer.compare.posterior import draw_scores
from transfer.compare.recipes import Recipes
from transfer.compare.replication import Need, Needed, find_needed
from transfer.compare.rows import Row, mean_scores
from transfer.compare.statistics import Floats, Interval, pareto_front
from transfer.compare.verdicts import Verdict, Verdicts

# Of a long table, those that may be taken.
MOST_ROWS = 40
# Accuracy that a small device may cost: what is further behind is no choice.
MOST_GIVEN_UP = 0.10


@dataclass(frozen=True)
class Decision:
    """Which configuration to take.

    Attributes:
        chosen: the row that was best on validation images.
        favourite: the row that is best on test images, which may owe it to them.
        probability_best: of each of the upper rows, at most 40; NaN where the first one was not
            tested against any other.
        expected_loss: what is lost by taking `chosen` rather than the best of them, by the
            criterion (0.01 is a point of accuracy); the bounds hold 95 % of what it may be. NaN
            where the chances are.
        about: whether these are about recipes, trained again, or about the networks at hand.
        needs: what would tell `chosen` and its rival apart as recipes, or find them equivalent:
            "nothing" where that is done; "replicates", or "splits" where all folds of those at hand
            are trained and another data seed makes more; more "images" where 100 of them would not
            do; "unknown" where the answers that would tell were not kept, or there is no rival.
        more_replicates: how many more trainings of the one of the two that lacks most would do so
            with a power of 80 %; 0 where that is done, None for "images" and "unknown".
        more_of: likewise of `chosen`, and of its rival; 0 where not known.
        more_seconds: how long all these would train; NaN where that is not known.
        assumed: whether the scatter of replicates is not measured here, but taken from recorded
            runs.
        rival: the row that is most probably the best of the others; where no chance is known, the
            second one; None for a single row.
        verdict: that on `chosen` against it, of what this is about.
        small: the row to take for a small device: the cheapest by MACs of those that no other row
            beats in both, at most 10 points of test accuracy behind `chosen` and better than
            guessing; `chosen` where there is none of these, but some are cheaper; None where none
            is, or MACs are not known.
    """

    chosen: int
    favourite: int
    probability_best: list[float]
    expected_loss: Interval
    about: Literal["recipe", "network"]
    needs: Need
    more_replicates: int | None
    more_of: tuple[int, int]
    more_seconds: float
    assumed: bool
    rival: int | None
    verdict: Verdict | None
    small: int | None


def decide(
    rows: Sequence[Row],
    criterion: Criterion,
    recipes: Recipes,
    networks: Networks,
    verdicts: Verdicts,
    *,
    about: Literal["recipe", "network"],
    within: float,
) -> Decision:
    """Decide between rows in order of validation, at least one.

    Args:
        verdicts: those on what it is about.
        within: differences smaller than this count as none.
    """
    upper = rows[:MOST_ROWS]
    means = mean_scores(rows, criterion.test, criterion.sign)
    favourite = int(np.argmax(means))
    best, loss = [1.0], Interval(0.0, 0.0, 0.0, "images")
    rival, verdict, needed = None, None, Needed("unknown")
    if len(upper) > 1 and verdicts.ranks()[0] is None:
        best, loss, rival = [math.nan] * len(upper), Interval(math.nan), 1
        lead = float(means[0] - means[1])
    elif len(upper) > 1:
        scores = _draws(len(upper), means, recipes, networks, about)
        # Networks that answer alike share the chance.
        wins = scores >= scores.max(axis=1, keepdims=True) - 1e-12
        best = (wins / wins.sum(axis=1, keepdims=True)).mean(axis=0).tolist()
        lost = scores.max(axis=1) - scores[:, 0]
        low, high = np.quantile(lost, [0.025, 0.975])
        over: Literal["both", "images"] = "both" if about == "recipe" else "images"
        loss = Interval(float(lost.mean()), float(low), float(high), over)
        rival = 1 + int(np.argmax(best[1:]))
        lead = float((scores[:, 0] - scores[:, rival]).mean())
    if rival is not None:
        verdict = verdicts.verdict(0, rival)
        needed = find_needed(rows, rival, recipes, networks, verdicts, lead=lead, within=within)
    return Decision(
        chosen=0,
        favourite=favourite,
        probability_best=best,
        expected_loss=loss,
        about=about,
        needs=needed.what,
        more_replicates=max(needed.trainings) if needed.known else None,
        more_of=needed.trainings,
        more_seconds=_seconds(rows, rival, needed),
        assumed=needed.assumed,
        rival=rival,
        verdict=verdict,
        small=_small(rows, means),
    )


def _small(rows: Sequence[Row], means: Floats) -> int | None:
    """The row for a small device; the first is the chosen one."""
    macs = [known_mean(row.metric("profile/macs")) for row in rows]
    if not any(each < macs[0] for each in macs):
        return None
    least = rows[0].accuracy.estimate - MOST_GIVEN_UP
    front = [
        index
        for index, on in enumerate(pareto_front(means.tolist(), macs))
        if on and macs[index] < macs[0] and rows[index].accuracy.estimate >= least
        if not is_guessing(rows[index])
    ]
    return min(front, key=lambda index: macs[index], default=0)


def _draws(
    count: int,
    means: Floats,
    recipes: Recipes,
    networks: Networks,
    about: Literal["recipe", "network"],
) -> Floats:
    """Draws of the true scores of the first rows; where some pair was not tested, its difference is
    that of the rows' means, and its variance that of the worst known pair."""
    upper = slice(count)
    if about == "network":
        leads, known = networks.lead[upper, upper].copy(), networks.variance[upper, upper].copy()
        estimated, freedom = np.zeros_like(known), 1.0
    else:
        found, variance = recipes.found, recipes.found.variance
        spread = np.maximum(variance.estimated, variance.least)
        leads, known, estimated = (
            _symmetric(each[upper, upper], sign)
            for each, sign in ((found.mean, -1), (recipes.known, 1), (spread, 1))
        )
        tested = np.triu(recipes.tested[upper, upper], k=1)
        freedom = float(np.median(variance.freedom[upper, upper][tested])) if tested.any() else 1.0
    np.fill_diagonal(leads, 0)
    # Where nothing was measured, no better than the worst that was.
    lowest = np.min(means, initial=0, where=np.isfinite(means))
    scores = np.where(np.isfinite(means), means, lowest)[:count]
    leads = np.where(np.isfinite(leads), leads, scores[:, None] - scores)
    for part in (known, estimated):
        part[~np.isfinite(part)] = np.max(part, initial=0, where=np.isfinite(part))
        np.fill_diagonal(part, 0)
    return draw_scores(leads.mean(axis=1), estimated, freedom, known)


def _symmetric(upper: Floats, sign: int) -> Floats:
    """From its upper triangle; with the sign of the lower one."""
    kept = np.triu(np.where(np.isnan(upper), 0.0, upper), k=1)
    missing = np.isnan(np.triu(upper, k=1))
    return np.where(missing | missing.T, np.nan, kept + sign * kept.T)


def _seconds(rows: Sequence[Row], rival: int | None, needed: Needed) -> float:
    if rival is None or not needed.known:
        return math.nan
    # Of nothing it is 0 also where no time is known.
    return math.fsum(
        count * known_mean(rows[index].metric("time/train_s"))
        for index, count in zip((0, rival), needed.trainings, strict=True)
        if count
    )
