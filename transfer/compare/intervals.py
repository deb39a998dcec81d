"""The interval of one configuration's score, and what overlapping training sets add to it."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from transfer.compare.criterion import Criterion
from transfer.compare.crossed import Differences, Scatter, single, units
from transfer.compare.replicates import Replicate, test_images_of
from transfer.compare.scores import Scores, has_scores, image_scores
from transfer.compare.statistics import (
    CONFIDENCE,
    Floats,
    Interval,
    Over,
    student_interval,
    wilson_interval,
)
from transfer.compare.uncertain import Variance, half_width
from transfer.tracking.artifacts import Predictions
from transfer.tracking.run_record import RunRecord

# Of the normal distribution, what lies this far out on either side is not within an interval.
_NORMAL = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


def mean_interval(
    runs: Sequence[RunRecord],
    replicates: Sequence[Replicate],
    predictions: Sequence[Predictions | None],
    criterion: Criterion,
    scatter: Scatter,
) -> Interval:
    """The mean of a measure of test images over runs, with its 95 % interval: over replicates and
    test images both, or over the one of them that is known.

    Args:
        scatter: of the replicates of all configurations.
    """
    values = np.array([run.metrics.get(criterion.test, math.nan) for run in runs])
    kept = np.flatnonzero(np.isfinite(values)).tolist()
    if not kept:
        return Interval(math.nan)
    mean, draws = float(values[kept].mean()), units([replicates[index] for index in kept])
    answers = [each for index in kept if (each := predictions[index]) is not None]
    chosen = [runs[index] for index in kept]
    if not on_same_images(chosen, answers):
        if draws.shape[1] < 2:
            return Interval(mean)
        known = [predictions[index] for index in kept]
        least, images = _of_images(known, draws, criterion)
        found = resampled(values[kept] @ draws, overlap_of(chosen, shared=False), least)
        half = half_width(CONFIDENCE, found.variance)
        return _bounded(mean, half, criterion, "both", images)
    if len(answers) < len(kept) or not all(has_scores(each, criterion) for each in answers):
        return _without_answers(values[kept], criterion)
    scores = image_scores(answers, criterion)
    if draws.shape[1] < 2:
        return _of_network(mean, answers[0], scores, criterion)
    overlap = overlap_of(chosen, shared=True)
    found = single(scores, range(len(kept)), draws, scatter=scatter, overlap=overlap)
    half = half_width(CONFIDENCE, found.variance)
    return _bounded(mean, half, criterion, "both", scores.images)


def _of_images(
    answers: Sequence[Predictions | None], draws: Floats, criterion: Criterion
) -> tuple[float, int | None]:
    """What test images alone make of the variance of a mean over draws of which each has images of
    its own, and how many they are; 0 and None where some answers are not known."""
    variances, images = [], 0
    for share in draws.T:
        own = [each for each, part in zip(answers, share, strict=True) if part > 0]
        tested = [each for each in own if each is not None and has_scores(each, criterion)]
        if len(tested) < len(own) or not on_same_labels(tested):
            return 0.0, None
        scores = image_scores(tested, criterion)
        variances.append(float(scores.covariance.mean()) / scores.images)
        images += scores.images
    return math.fsum(variances) / len(variances) ** 2, images


def _of_network(
    mean: float, answers: Predictions, scores: Scores, criterion: Criterion
) -> Interval:
    """Say of one network what a finite test set does."""
    if criterion.name == "acc":
        return wilson_interval(int(answers.correct.sum()), len(answers.labels))
    error = math.sqrt(scores.covariance[0, 0] / scores.images)
    return _bounded(mean, _NORMAL * error, criterion, "images", scores.images)


def overlap_of(runs: Sequence[RunRecord], *, shared: bool) -> float:
    """What the variance of one replicate counts more, in that of the mean of several, because
    their training sets overlap: images held out over images trained on.

    Source: Nadeau and Bengio 2003, "Inference for the generalization error", Machine Learning 52.

    Args:
        runs: of one configuration.
        shared: whether all were tested on the same images. Then the validation images are held out,
            where the split differs at all, and else the test images.
    """
    params = runs[0].params
    validation = float(params.get("data.validation_fraction", "0"))
    if shared:
        splits = {run.params.get("data.seed", "0") for run in runs}
        return validation / (1 - validation) if len(splits) > 1 else 0.0
    test = float(params.get("data.test_fraction", "0.2"))
    if params.get("data.fold", "null") != "null":
        test = 1 / int(params["data.folds"])
    of_all = test / ((1 - test) * (1 - validation))
    if not {"data.test_images", "data.train_images"} <= params.keys():
        return of_all
    counted = int(params["data.test_images"]) / max(int(params["data.train_images"]), 1)
    # Training sets that are small parts of what is left overlap less than those that are all of it.
    return min(counted, of_all)


def resampled(values: Floats, overlap: float, least: Floats | float) -> Differences:
    """The mean of values [..., J], of which each was measured on test images of its own: scores of
    folds, or differences of such. Student's test with the variance corrected for overlap.

    Args:
        least: what test images alone make of the variance of the mean, [...], 0 where not known:
            it is no less, however near to each other two folds came out.
    """
    draws = values.shape[-1]
    mean = values.mean(axis=-1)
    draw = np.var(values, axis=-1, ddof=1)
    zero = np.zeros_like(mean)
    variance = Variance(draw * (1 / draws + overlap), zero + draws - 1, zero + least, zero)
    return Differences(mean, variance, draw)


def on_same_images(runs: Sequence[RunRecord], answers: Sequence[Predictions]) -> bool:
    """Whether some runs were tested on the same images, as far as can be known."""
    return len({test_images_of(run) for run in runs}) == 1 and on_same_labels(answers)


def on_same_labels(answers: Sequence[Predictions]) -> bool:
    """Whether all have the same labels in the same order."""
    return len({each.labels.tobytes() for each in answers}) <= 1


def _without_answers(values: Floats, criterion: Criterion) -> Interval:
    """Count the luck of replicates alone, for it is not known how many images there were."""
    found = student_interval(values)
    if not found.known:
        return found
    return _bounded(found.estimate, found.high - found.estimate, criterion, "seeds")


def _bounded(
    mean: float, half: float, criterion: Criterion, over: Over, images: int | None = None
) -> Interval:
    """With bounds; of a share as Wilson's are, for the number of images that would have the same
    uncertainty (Korn and Graubard 1998): a share lies between 0 and 1, and few errors leave more
    above it than below.

    Args:
        half: half the width that it would have without bounds.
        images: on which the mean was measured, where that is known.
    """
    if criterion.sign < 0:
        # No loss is less than none.
        return Interval(mean, max(mean - half, 0.0), mean + half, over)
    if half == 0 and images is None:
        return Interval(mean, mean, mean, over)
    least = mean if images is None else (mean * images + 0.5) / (images + 1)
    # A share of 1 scatters nowhere, and half an error more does: that many images are not none.
    variance = max(mean * (1 - mean), least * (1 - least))
    number = float(images or 0) if half == 0 else _NORMAL**2 * variance / half**2
    low, high = _wilson(mean, number)
    # Near its ends that is far too wide for a few images; twice as wide is enough, or what all the
    # images at hand say.
    widest = (mean, mean) if images is None else _wilson(mean, float(images))
    low = max(low, min(mean - 2 * half, widest[0]), 0.0)
    high = min(high, max(mean + 2 * half, widest[1]), 1.0)
    return Interval(mean, low, high, over)


def _wilson(share: float, number: float) -> tuple[float, float]:
    """The bounds of a share of so many images, which need not be whole."""
    number = max(number, 1e-9)
    square = _NORMAL**2 / number
    centre = (share + square / 2) / (1 + square)
    around = math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    # Rounding must not leave the share outside.
    return min(centre - around, share), max(centre + around, share)
