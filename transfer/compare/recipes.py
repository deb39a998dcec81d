"""Which recipe would win again, by other replicates and on other test images?"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from transfer.compare.criterion import Criterion
from transfer.compare.crossed import (
    NO_SCATTER,
    Differences,
    Scatter,
    differences,
    own_scatter,
    units,
)
from transfer.compare.intervals import overlap_of, resampled
from transfer.compare.replicates import Replicate, test_images_of
from transfer.compare.rows import Row
from transfer.compare.scores import Scores, has_scores, image_scores
from transfer.compare.statistics import CONFIDENCE, Floats, Interval
from transfer.compare.uncertain import Variance, half_width, p_values
from transfer.tracking.artifacts import Predictions
from transfer.tracking.run_record import RunRecord

# A replicate, and the test images that it was tested on.
Trial = tuple[Replicate, int]


@dataclass
class _Images:
    """One set of test images.

    Attributes:
        name, labels: what tells them from others; the labels None as long as they are not known.
        answers: of the runs that were tested on them and say how they did on each.
        scores: of these.
        scatter: of the replicates of recipes that have several on them.
    """

    name: tuple[str | None, ...]
    labels: bytes | None
    answers: list[Predictions] = field(default_factory=list)
    scores: Scores | None = None
    scatter: Scatter = NO_SCATTER


class Recipes:
    """Every two of R rows, over the replicates that both have; all matrices [R, R], the row minus
    the column, more being better.

    Attributes:
        replicates: how many replicates both have.
        draws: how many independent ones: trainings on one split are one where there are several.
        found: the differences, of which only those of `tested` pairs have a variance.
        tested: pairs with at least two draws in common, on images that are known.
        scatter: of replicates on the same images, over all rows.
    """

    def __init__(self, rows: Sequence[Row], criterion: Criterion) -> None:
        self._rows, self._criterion = rows, criterion
        self._images: list[_Images] = []
        self._trials = [self._sort_trials(row) for row in rows]
        self._measure_scatter()
        count = len(rows)
        self.replicates: NDArray[np.int64] = np.zeros((count, count), dtype=np.int64)
        self.draws: NDArray[np.int64] = np.zeros((count, count), dtype=np.int64)
        self.tested = np.zeros((count, count), dtype=np.bool_)
        self._one_image = np.zeros((count, count))
        empty = [np.full((count, count), np.nan) for _ in range(6)]
        self.found = Differences(empty[0], Variance(*empty[1:5]), empty[5])
        # Rows with the same trials are compared all at once.
        kinds: dict[tuple[tuple[Trial, bool], ...], list[int]] = {}
        for index, own in enumerate(self._trials):
            kind = tuple((trial, place >= 0) for trial, (place, _) in own.items())
            kinds.setdefault(kind, []).append(index)
        named = [(dict(kind), members) for kind, members in kinds.items()]
        for place, (trials, first) in enumerate(named):
            for others, second in named[place:]:
                if common := sorted(trials.keys() & others.keys()):
                    known = [trial for trial in common if trials[trial] and others[trial]]
                    self._compare(common, known, first, second)
        self._mirror()

    @property
    def scatter(self) -> Scatter:
        known = (each.scatter for each in self._images)
        return max(known, key=lambda each: each.freedom, default=NO_SCATTER)

    def _sort_trials(self, row: Row) -> dict[Trial, tuple[int, float]]:
        """Give of each trial, in order, the run's place among the images' answers, -1 without
        answers, and its score."""
        values = self._criterion.sign * np.array(row.metric(self._criterion.test))
        trials = {}
        for run, replicate, answers, value in zip(
            row.runs, row.replicates, row.predictions, values, strict=True
        ):
            number, place = self._number(run, answers), -1
            if answers is not None and has_scores(answers, self._criterion):
                place = len(self._images[number].answers)
                self._images[number].answers.append(answers)
            if np.isfinite(value):
                trials[replicate, number] = (place, float(value))
        return dict(sorted(trials.items()))

    def _number(self, run: RunRecord, answers: Predictions | None) -> int:
        """That of its test images; where their digest was not kept, labels tell them apart."""
        name, labels = test_images_of(run), None if answers is None else answers.labels.tobytes()
        for number, images in enumerate(self._images):
            if images.name == name and None in (labels, images.labels):
                images.labels = images.labels or labels
                return number
            if (images.name, images.labels) == (name, labels):
                return number
        self._images.append(_Images(name, labels))
        return len(self._images) - 1

    def _measure_scatter(self) -> None:
        for number, images in enumerate(self._images):
            if not images.answers:
                continue
            images.scores = image_scores(images.answers, self._criterion)
            variances, freedoms = [], []
            for trials in self._trials:
                own = {
                    replicate: index
                    for (replicate, where), (index, _) in trials.items()
                    if where == number and index >= 0
                }
                shares = units(list(own))
                if shares.shape[1] > 1:
                    variances.append(own_scatter(images.scores, list(own.values()), shares))
                    freedoms.append(shares.shape[1] - 1)
            if variances:
                mean = float(np.average(variances, weights=freedoms))
                images.scatter = Scatter(mean, float(sum(freedoms)))

    def _compare(
        self, common: list[Trial], known: list[Trial], first: list[int], second: list[int]
    ) -> None:
        """Fill in the pairs of two sets of rows that have these trials in common, and know of these
        how they did on each image."""
        block = np.ix_(first, second)
        self.replicates[block] = len(common)
        shares = units([replicate for replicate, _ in common])
        values = [
            np.array([[self._trials[row][trial][1] for trial in common] for row in rows]) @ shares
            for rows in (first, second)
        ]
        drawn = values[0][:, None] - values[1]
        self.found.mean[block], self.draws[block] = drawn.mean(axis=-1), shares.shape[1]
        if shares.shape[1] < 2:
            return
        overlap = overlap_of(self._rows[first[0]].runs, shared=len({n for _, n in common}) == 1)
        if len({number for _, number in common}) > 1:
            least, self._one_image[block] = self._of_images(common, shares, first, second)
            self._fill(block, resampled(drawn, overlap, least))
            return
        shares = units([replicate for replicate, _ in known])
        images = self._images[common[0][1]]
        if shares.shape[1] >= 2 and images.scores is not None:
            self.replicates[block], self.draws[block] = len(known), shares.shape[1]
            one, other = (
                np.array([[self._trials[row][trial][0] for trial in known] for row in rows])
                for rows in (first, second)
            )
            found = differences(
                images.scores, one, other, shares, scatter=images.scatter, overlap=overlap
            )
            self._fill(block, found)
            self._one_image[block] = images.scores.one_image

    def _of_images(
        self, trials: list[Trial], shares: Floats, first: list[int], second: list[int]
    ) -> tuple[Floats, float]:
        """What test images alone make of the variance of mean differences [A, B] over draws of
        which each has images of its own, and what one image more would; 0 where not known."""
        draws, total, one_image = shares.shape[1], np.zeros((len(first), len(second))), 0.0
        for share in shares.T:
            members = np.flatnonzero(share)
            own = [trials[member] for member in members]
            images = self._images[own[0][1]]
            places = [
                np.array([[self._trials[row][trial][0] for trial in own] for row in rows])
                for rows in (first, second)
            ]
            same = len({number for _, number in own}) == 1
            if images.scores is None or not same or min(each.min() for each in places) < 0:
                return np.zeros_like(total), 0.0
            weights, covariance = share[members], images.scores.covariance
            one, other = (
                np.einsum("rcd,c,d->r", covariance[p[:, :, None], p[:, None, :]], weights, weights)
                for p in places
            )
            block = covariance[places[0][:, None, :, None], places[1][None, :, None, :]]
            between = np.einsum("abcd,c,d->ab", block, weights, weights)
            total += (one[:, None] + other - 2 * between).clip(min=0) / images.scores.images
            one_image += images.scores.one_image
        return total / draws**2, one_image / draws**2

    def _fill(self, block: tuple[NDArray[np.int64], ...], found: Differences) -> None:
        self.tested[block] = True
        self.found.mean[block], self.found.draw[block] = found.mean, found.draw
        for whole, part in zip(self.found.variance.parts, found.variance.parts, strict=True):
            whole[block] = part

    def _mirror(self) -> None:
        """Fill in the other way round what was compared one way, for rows of two kinds may stand in
        any order."""
        missing = (self.replicates == 0) & (self.replicates.T > 0)
        self.found.mean[missing] = -self.found.mean.T[missing]
        alike = [self.replicates, self.draws, self.tested, self._one_image, self.found.draw]
        for whole in (*alike, *self.found.variance.parts):
            whole[missing] = whole.T[missing]

    def p_values(self) -> Floats:
        """Two-sided, that there is no difference; NaN where not tested."""
        return self._tail(self.found.mean, self.found.variance)

    def equivalence_p_values(self, bound: float) -> Floats:
        """Two-sided p-values that the difference is as large as `bound`, on its own side of 0; NaN
        where not tested."""
        variance = replace(self.found.variance, known=self.known)
        return self._tail(bound - np.abs(self.found.mean), variance)

    @property
    def known(self) -> Floats:
        """The known part of the variance, with one image more either way: recipes that agree on all
        of a few images need not agree on others."""
        return self.found.variance.known + self._one_image

    def _tail(self, distance: Floats, variance: Variance) -> Floats:
        found = np.full(distance.shape, np.nan)
        chosen = np.triu(self.tested, k=1)
        found[chosen] = p_values(distance[chosen], variance[chosen])
        return found

    def interval(self, first: int, second: int) -> Interval:
        """The difference of two rows with its 95 % interval."""
        mean = float(self.found.mean[first, second])
        if not self.tested[first, second]:
            return Interval(mean)
        half = half_width(CONFIDENCE, self.found.variance[first, second])
        return self._criterion.difference(mean, half, "both")
