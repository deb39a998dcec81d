"""How each run did on each test image, and how that goes together between runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transfer.compare.criterion import Criterion
from transfer.compare.statistics import Floats
from transfer.tracking.artifacts import Predictions

# At once, so that memory does not grow with the test set.
_IMAGES = 4096


@dataclass(frozen=True)
class Scores:
    """The scores of M runs on the same N test images, more being better.

    Attributes:
        means: [M], of each run over the images; by balanced accuracy each class counts alike.
        covariance: [M, M], of the scores of two runs over the images, within classes where these
            count alike: divided by N it is the covariance of the means under other images.
        images: N.
        one_image: the variance that a single image more which only one of two runs gets right would
            add to that of their difference; 0 by the loss, of which no images are all alike.
    """

    means: Floats
    covariance: Floats
    images: int
    one_image: float


def has_scores(predictions: Predictions | None, criterion: Criterion) -> bool:
    """Whether it is known how a run did on each image."""
    if predictions is None or len(predictions.labels) < 2:
        return False
    if criterion.name != "loss":
        return True
    return predictions.loss is not None and bool(np.isfinite(predictions.loss).all())


def image_scores(runs: Sequence[Predictions], criterion: Criterion) -> Scores:
    """The scores of runs that were tested on the same images, of which all have some."""
    labels, total = runs[0].labels, len(runs[0].labels)
    strata, weights = np.zeros(total, dtype=np.int64), np.ones(total)
    if criterion.name == "balanced_acc":
        strata = np.unique(labels, return_inverse=True)[1]
        weights = total * balanced_weights(labels)
    sizes = np.bincount(strata)
    parts = [slice(start, start + _IMAGES) for start in range(0, total, _IMAGES)]
    sums = np.zeros((len(runs), len(sizes)))
    for part in parts:
        members = strata[part, None] == np.arange(len(sizes))
        sums += _part(runs, criterion, part, weights) @ members.astype(np.float32)
    centres = (sums / sizes).astype(np.float32)
    # The variance of few images is larger than their scatter about their own mean.
    scales = np.sqrt(sizes / np.maximum(sizes - 1, 1)).astype(np.float32)
    products = np.zeros((len(runs), len(runs)))
    for part in parts:
        centred = _part(runs, criterion, part, weights) - centres[:, strata[part]]
        centred *= scales[strata[part]]
        products += centred @ centred.T
    one_image = 0.0 if criterion.name == "loss" else (weights.max() / total) ** 2
    return Scores(sums.sum(axis=1) / total, products / total, total, one_image)


def balanced_weights(labels: NDArray[np.int16]) -> Floats:
    """What each image counts so that classes count alike and all weights sum to 1."""
    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    weights: Floats = 1 / (len(sizes) * sizes[classes])
    return weights


def _part(
    runs: Sequence[Predictions], criterion: Criterion, part: slice, weights: Floats
) -> NDArray[np.float32]:
    """How each run did on some of the images: [M, images]."""
    if criterion.name == "loss":
        found = [each.loss[part] for each in runs if each.loss is not None]
        return -np.stack(found).astype(np.float32)
    right = np.stack([each.labels[part] == each.predicted[part] for each in runs])
    return right.astype(np.float32) * weights[part].astype(np.float32)
