"""Which configurations differ significantly, and the ranks that follow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transfer.compare.criterion import Criterion, criterion_of
from transfer.compare.rows import Row
from transfer.compare.statistics import (
    CONFIDENCE,
    Floats,
    Interval,
    holm,
    mcnemar_p_values,
    paired_differences,
    random_signs_p_values,
)
from transfer.tracking.artifacts import Predictions

# With two seeds, Student's test has one degree of freedom and finds next to nothing.
_LEAST_SEEDS = 3
# Wider than what rounding makes of equal differences.
_NO_SPREAD = 1e-9


@dataclass(frozen=True)
class Pair:
    """Two configurations compared.

    Attributes:
        first, second: which rows; the first is the better by mean accuracy.
        seeds: how many seeds both have.
        difference: how much better the first is than the second by the comparison's criterion
            (-1 to 1 for accuracies), over those seeds, with its 95 % interval.
        lead: the same difference as the test saw it: over those seeds, or on the test images of
            the seed that was tested. Below 0 where the second, worse by its mean over all its
            seeds, is the better one on what both have.
        test: "seeds", Student's paired test over at least three common seeds: do the recipes
            differ? "images", McNemar's on the test images of the lowest common seed, or by balanced
            accuracy that of random signs: do these two trained networks differ? Also where the
            seeds differ by exactly the same, for then there is no spread to judge by. "none": they
            share neither seeds nor test images, or images alone where the criterion is the loss.
        p_value: of that test, NaN without one.
        corrected: the same after Holm's correction over all pairs.
        mcnemar: McNemar's p-value, also where Student's test decides; NaN without predictions.
    """

    first: int
    second: int
    seeds: int
    difference: Interval
    lead: float
    test: Literal["seeds", "images", "none"]
    p_value: float
    corrected: float
    mcnemar: float

    @property
    def significant(self) -> bool:
        return self.corrected < 1 - CONFIDENCE


class Comparison:
    """Every pair of rows, and the rank of each row; arrays, for a thousand rows are many pairs.

    Attributes:
        rows: in order of their mean by the criterion, the best first.
        criterion: the measure that all of them were selected by; else accuracy.
        ranks: of each row, from 1: one more than the number of rows that are better than it
            significantly, on what both have.
        tested: how many pairs share seeds or test images.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.criterion = criterion_of(run for row in rows for run in row.runs)
        first, second = np.triu_indices(len(rows), k=1)
        scores = self.criterion.sign * _scores(rows, self.criterion)
        found = paired_differences(scores[first] - scores[second])
        mcnemar, by_images, leads = (
            each[first, second] for each in _tests_on_images(rows, self.criterion)
        )
        by_seeds = (found.count >= _LEAST_SEEDS) & (found.high - found.low > _NO_SPREAD)
        p_values = np.where(by_seeds, found.p_value, by_images)
        leads = np.where(by_seeds, found.mean, leads)
        known = np.isfinite(p_values)
        corrected = np.full(len(first), np.nan)
        corrected[known] = holm(p_values[known])
        self._differences = found
        self._tests = {
            "seeds": found.count,
            "lead": leads,
            "test": np.where(known, np.where(by_seeds, "seeds", "images"), "none"),
            "p_value": p_values,
            "corrected": corrected,
            "mcnemar": mcnemar,
        }
        self.tested = int(known.sum())
        beaten = np.where(leads > 0, second, first)[corrected < 1 - CONFIDENCE]
        self.ranks: list[int] = (1 + np.bincount(beaten, minlength=len(rows))).tolist()

    def pair(self, first: int, second: int) -> Pair:
        """Two rows by their indices, the smaller one first."""
        # Pairs lie row by row, as triu_indices gives them.
        index = first * len(self.rows) - first * (first + 1) // 2 + second - first - 1
        tests: dict[str, Any] = {name: each[index].item() for name, each in self._tests.items()}
        return Pair(first, second, difference=self._differences.interval(index), **tests)

    def against_best(self) -> Iterator[Pair]:
        """The best row against each other row."""
        return (self.pair(0, index) for index in range(1, len(self.rows)))


def _scores(rows: Sequence[Row], criterion: Criterion) -> Floats:
    """The test images' measure [rows, seeds], NaN where a row lacks the seed."""
    name = criterion.test
    found = [{run.params["seed"]: run.metrics.get(name) for run in row.runs} for row in rows]
    return pd.DataFrame(found, dtype=np.float64).sort_index(axis=1).to_numpy()


def _tests_on_images(rows: Sequence[Row], criterion: Criterion) -> tuple[Floats, Floats, Floats]:
    """Every two rows on the lowest seed that they share with the same test images, all [rows,
    rows]: p-values of McNemar's test, those of the test by the criterion, NaN for the loss, and by
    how much the one is better than the other."""
    mcnemar = np.full((len(rows), len(rows)), np.nan)
    p_values, leads = np.full_like(mcnemar, np.nan), np.full_like(mcnemar, np.nan)
    # The networks of one seed and one test set are compared all at once.
    groups: dict[tuple[int, bytes], dict[int, Predictions]] = {}
    for index, row in enumerate(rows):
        for run, predictions in zip(row.runs, row.predictions, strict=True):
            if predictions is not None:
                key = (int(run.params["seed"]), predictions.labels.tobytes())
                groups.setdefault(key, {})[index] = predictions
    # The lowest seed comes last and overwrites.
    for _, members in sorted(groups.items(), key=lambda item: -item[0][0]):
        correct = np.stack([each.correct for each in members.values()]).astype(np.float32)
        only_first = np.rint(correct @ (1 - correct).T).astype(np.float64)
        block = np.ix_(list(members), list(members))
        mcnemar[block] = p_values[block] = mcnemar_p_values(only_first, only_first.T)
        leads[block] = (only_first - only_first.T) / max(correct.shape[1], 1)
        if criterion.name == "balanced_acc":
            weights = _balanced_weights(next(iter(members.values())).labels)
            only_first = (correct * weights) @ (1 - correct).T
            leads[block] = only_first - only_first.T
            squares = (correct * weights**2) @ (1 - correct).T
            p_values[block] = random_signs_p_values(leads[block], squares + squares.T)
    if criterion.name == "loss":
        p_values[:] = leads[:] = np.nan
    return mcnemar, p_values, leads


def _balanced_weights(labels: NDArray[np.int16]) -> Floats:
    """What each image counts so that classes count alike and all weights sum to 1."""
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    weights: Floats = 1 / (len(sizes) * sizes[classes])
    return weights
