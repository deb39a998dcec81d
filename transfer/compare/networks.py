"""Which of these very networks is the better one, on other images of the same kind?

Trainings have no luck left once they are done: test images alone do.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from transfer.compare.criterion import Criterion
from transfer.compare.replicates import test_images_of
from transfer.compare.rows import Row
from transfer.compare.scores import balanced_weights, has_scores, image_scores
from transfer.compare.statistics import (
    CONFIDENCE,
    Floats,
    Interval,
    mcnemar_p_values,
    random_signs_p_values,
)
from transfer.tracking.artifacts import Predictions


class Networks:
    """A network of each of R rows, every two of them that were tested on the same images; all
    matrices [R, R], the row minus the column, more being better, NaN where not tested.

    Attributes:
        runs: [R], which of a row's runs gave it: of those that were tested on the images of the
            first row's best one, the best on validation images; without such, of all.
        lead: differences by the criterion.
        variance: of these over test images.
        p_value: two-sided, that there is no difference; of a row and one below it.
        own: [R], the variance of each network's own score over test images.
        images: [R], how many test images each had.
    """

    def __init__(self, rows: Sequence[Row], criterion: Criterion) -> None:
        self._criterion, count = criterion, len(rows)
        self.lead, self.variance, self.p_value = (np.full((count, count), np.nan) for _ in range(3))
        self.own = np.full(count, np.nan)
        self.images = [0] * count
        self.runs: list[int] = []
        groups: dict[object, dict[int, Predictions]] = {}
        for index, row in enumerate(rows):
            # Of folds, each network has images of its own, and the best one may be of any.
            first = rows[0].runs[self.runs[0]] if self.runs else None
            self.runs.append(row.deployed(criterion, test_images_of(first) if first else None))
            answers, run = row.predictions[self.runs[index]], row.runs[self.runs[index]]
            if answers is not None and has_scores(answers, criterion):
                name = (test_images_of(run), answers.labels.tobytes())
                groups.setdefault(name, {})[index] = answers
                self.images[index] = len(answers.labels)
        for members in groups.values():
            block = np.ix_(list(members), list(members))
            found = network_differences(list(members.values()), criterion)
            self.lead[block], self.variance[block], self.p_value[block] = found[:3]
            self.own[list(members)] = found[3]

    def interval(self, first: int, second: int) -> Interval:
        """The difference of two networks with its 95 % interval over test images."""
        lead, variance = (float(each[first, second]) for each in (self.lead, self.variance))
        if not math.isfinite(lead):
            return Interval(math.nan)
        half = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt(variance)
        return self._criterion.difference(lead, half, "images")

    def equivalence_p_values(self, bound: float) -> Floats:
        """Two-sided p-values that a difference is as large as `bound`, on its own side of 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            size = np.abs(bound - np.abs(self.lead)) / np.sqrt(self.variance)
        return np.asarray(2 * stats.norm.sf(size))


def network_differences(
    answers: Sequence[Predictions], criterion: Criterion
) -> tuple[Floats, Floats, Floats, Floats]:
    """Each of M networks that were tested on the same images minus each other one, more being
    better: differences, their variances over images, two-sided p-values, all [M, M], and the
    variance of each network's own score [M].

    The p-values are McNemar's exact ones; by balanced accuracy those of random signs, by the loss
    those of the normal distribution.
    """
    if criterion.name == "loss":
        scores = image_scores(answers, criterion)
        own = scores.covariance.diagonal()
        variances = (own[:, None] + own - 2 * scores.covariance).clip(min=0) / scores.images
        leads = scores.means[:, None] - scores.means
        return leads, variances, random_signs_p_values(leads, variances), own / scores.images
    right = np.stack([each.correct for each in answers]).astype(np.float32)
    images = right.shape[1]
    only_first = np.rint(right @ (1 - right).T).astype(np.float64)
    if criterion.name == "acc":
        both = only_first + only_first.T
        leads = (only_first - only_first.T) / images
        p_values = np.full_like(leads, np.nan)
        upper = np.triu_indices(len(leads), k=1)
        p_values[upper] = mcnemar_p_values(only_first[upper], only_first.T[upper])
        # One image more either way: networks that agree on all images of a test set need not
        # agree on others (Agresti and Min 2005, Statistics in Medicine 24).
        variances = (both + 1 - leads**2 * images) / (images + 2) ** 2
        share = right.mean(axis=1, dtype=np.float64)
        own = share * (1 - share) / images
        return leads, variances.clip(min=1 / (images + 2) ** 2), p_values, own
    weights = balanced_weights(answers[0].labels)
    only_first = (right * weights) @ (1 - right).T
    leads = only_first - only_first.T
    squares = (right * weights**2) @ (1 - right).T
    squares += squares.T
    p_values = random_signs_p_values(leads, squares)
    variances = (squares + weights.max() ** 2 - leads**2 / images).clip(min=weights.max() ** 2)
    scores = image_scores(answers, criterion)
    own = scores.covariance.diagonal() / images
    return leads, variances, p_values, own
