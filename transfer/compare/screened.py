"""What a screen says of its candidates, and how well it agreed with the trainings that followed.

Its probes are asked about images; so other images are the luck that its intervals are about.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from transfer.compare.comparison import Comparison
from transfer.compare.rows import Row
from transfer.compare.statistics import Interval, mcnemar_p_values, pareto_front, wilson_interval
from transfer.compare.verdicts import Verdicts

# What a probe of frozen features cannot see: in the recorded sweeps training all of the last stage
# has brought one candidate 11 points more than the head alone, and another none (docs/screen.md).
MARGIN = 0.10
# Fewer have no order to speak of.
_FEWEST = 3

#: A model, the digest of its weights, and pixels.
Candidate = tuple[str, str, int]


@dataclass(frozen=True)
class Placing:
    """Where one candidate of a screen stands.

    Attributes:
        accuracy: with its 95 % interval over images.
        rank: one more than the number of significantly better ones, by McNemar's exact test with
            Holm's correction over all pairs.
        on_front: whether no other candidate is as accurate and as cheap, and better in one of both.
    """

    accuracy: Interval
    rank: int
    on_front: bool


def placings(correct: NDArray[np.bool_], macs: Sequence[float]) -> list[Placing]:
    """Compare candidates on the same images.

    Args:
        correct: [M, N], whether each of M candidates was right about each of N images.
        macs: [M], multiply-accumulates of one image.
    """
    right = correct.astype(np.float64)
    only_first = np.rint(right @ (1 - right).T)
    lead = (only_first - only_first.T) / correct.shape[1]
    p_values = np.full_like(lead, np.nan)
    upper = np.triu_indices(len(lead), k=1)
    p_values[upper] = mcnemar_p_values(only_first[upper], only_first.T[upper])
    ranks = Verdicts(lead, p_values, np.ones_like(lead), 0.0).ranks()
    intervals = [wilson_interval(int(each.sum()), len(each)) for each in correct]
    front = pareto_front([each.estimate for each in intervals], macs)
    # Alone, a candidate has no rank by any test, and is the best one.
    return [
        Placing(accuracy, rank or 1, on)
        for accuracy, rank, on in zip(intervals, ranks, front, strict=True)
    ]


def hopeless(low: Sequence[float], high: Sequence[float]) -> list[bool]:
    """Which candidates are out of reach: the upper end of the interval of the probe's accuracy lies
    more than ten points below the highest lower end.

    Args:
        low, high: bounds of the intervals, 0 to 1.
    """
    best = max(low, default=0.0)
    return [each < best - MARGIN for each in high]


@dataclass(frozen=True)
class Agreement:
    """A screen against the outcome of the trainings that followed, over the candidates of both.

    Attributes:
        candidates: how many these are.
        tau: Kendall's tau-b of the probe's accuracy with the outcome, -1 to 1; NaN where all of
            either are equal.
        tau_of_size: the same of the number of parameters: the larger, the better.
        tau_of_imagenet: the same of published ImageNet accuracy; NaN where fewer than three
            candidates have one.
        known_on_imagenet: how many of them have one.
        dropped: how many of them the screen called hopeless.
        dropped_winner: whether the winner is among those.
    """

    candidates: int
    tau: float
    tau_of_size: float
    tau_of_imagenet: float
    known_on_imagenet: int
    dropped: int
    dropped_winner: bool


def agreement(
    screened: pd.DataFrame, outcomes: Mapping[Candidate, float], winner: Candidate
) -> Agreement | None:
    """How well a screen told what would come out; None for fewer than three candidates in common,
    or where the winner was not among the screen's.

    Args:
        screened: a row a candidate, with the columns of a screen's table.
        outcomes: of each candidate that was trained, its score, more being better.
        winner: the one that training has named.
    """
    keys = zip(screened["model"], screened["weights_digest"], screened["image_size"], strict=True)
    named = {(str(a), str(b), int(c)): index for index, (a, b, c) in enumerate(keys)}
    shared = [each for each in outcomes if each in named and math.isfinite(outcomes[each])]
    if len(shared) < _FEWEST or winner not in shared:
        return None
    out = hopeless(screened["linear_low"].tolist(), screened["linear_high"].tolist())
    rows = screened.iloc[[named[each] for each in shared]]
    scores = np.array([outcomes[each] for each in shared])
    published = rows["imagenet"].to_numpy(dtype=np.float64)
    known = np.isfinite(published)
    return Agreement(
        candidates=len(shared),
        tau=_tau(rows["linear"].to_numpy(dtype=np.float64), scores),
        tau_of_size=_tau(rows["params"].to_numpy(dtype=np.float64), scores),
        tau_of_imagenet=_tau(published[known], scores[known]),
        known_on_imagenet=int(known.sum()),
        dropped=sum(out[named[each]] for each in shared),
        dropped_winner=out[named[winner]],
    )


def agreement_with(comparison: Comparison, screened: pd.DataFrame) -> Agreement | None:
    """How well a screen told the outcome of a comparison's trainings; `agreement`'s rules hold.

    Of each candidate the outcome is the test score of the configuration that was best on
    validation, and the winner is the candidate of the configuration to take.
    """
    decision, criterion = comparison.decision, comparison.criterion
    if decision is None:
        return None
    outcomes = dict[Candidate, float]()
    for row in comparison.rows:
        # The best one on validation comes first.
        score = row.score(criterion).estimate
        outcomes.setdefault(_candidate_of(row), criterion.sign * score)
    return agreement(screened, outcomes, _candidate_of(comparison.rows[decision.chosen]))


def _candidate_of(row: Row) -> Candidate:
    digest = row.params.get("weights.digest", "")
    return row.params["model.name"], digest, int(row.params.get("image_size", 0))


def _tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if len(first) < _FEWEST:
        return math.nan
    return float(stats.kendalltau(first, second).statistic)
