"""Probes: simple classifiers that tell how much of a task features at hand already solve.

Each is asked for the classes of other images than those it has learnt from; or, where nothing else
is asked, for that of each image after it has learnt from all others.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Of more features, as VGG's 25,088, random projections keep the distances (Johnson and
# Lindenstrauss 1984), and the eigenvectors of a larger matrix would take minutes.
_MOST_FEATURES = 4096
_NEIGHBOURS = 10
# Rows of similarities at a time: 50,000 images have 10 GB of them.
_AT_ONCE = 1024
# Of an image to the variance of a feature: from hardly any shrinkage to hardly anything left.
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# Measured with 1,000 to 8,000 images and 512 to 4,096 features, on one core of a server.
_LINEAR_S, _NEIGHBOURS_S = 2e-10, 2.2e-11


def flat_features(features: Tensor) -> Tensor:
    """Features [N, …] as the probes read them, float32 [N, D] on the CPU: of maps [N, C, H, W] the
    means of the channels, of others all numbers, or 4,096 random projections of more."""
    features = features.float().cpu()
    if features.ndim == 4:
        features = features.mean(dim=(2, 3))
    features = features.flatten(1)
    if features.shape[1] > _MOST_FEATURES:
        size = (features.shape[1], _MOST_FEATURES)
        directions = torch.randn(size, generator=torch.Generator().manual_seed(0))
        features = features @ directions / _MOST_FEATURES**0.5
    return features


def nearest_neighbours(known: Tensor, labels: Tensor, asked: Tensor | None = None) -> Tensor:
    """The class that the ten nearest neighbours vote for, each by its cosine similarity.

    Args:
        known: features [N, D] of images whose classes are known.
        labels: int64 [N], these classes.
        asked: features [M, D]; None: each of the N images is asked for by the others.

    Returns:
        int64 [M], or [N].
    """
    centre = known.mean(dim=0)
    known = F.normalize(known - centre)
    given = known if asked is None else F.normalize(asked - centre)
    votes_of = F.one_hot(labels).float()
    most = min(_NEIGHBOURS, len(known) - (asked is None))
    answers = []
    for start in range(0, len(given), _AT_ONCE):
        similarity = given[start : start + _AT_ONCE] @ known.T
        if asked is None:
            rows = torch.arange(len(similarity))
            similarity[rows, start + rows] = -torch.inf
        near = similarity.topk(most)
        weights = near.values.clamp(min=0) + 1e-6
        answers.append((votes_of[near.indices] * weights[:, :, None]).sum(dim=1).argmax(dim=1))
    return torch.cat(answers)


def linear_probe(known: Tensor, labels: Tensor, asked: Tensor | None = None) -> Tensor:
    """The class that ridge regression on the classes' indicators gives the largest value.

    What each image gets from a fit to all others follows from one fit to all of them; so the
    penalty is the one with the least squared error of these.

    Source: Rifkin and Lippert 2007, "Notes on regularized least squares", MIT-CSAIL-TR-2007-025.

    Args, Returns: as of `nearest_neighbours`.
    """
    mean, std = known.double().mean(dim=0), known.double().std(dim=0)
    # A feature that never differs says nothing, and stays 0.
    scale = torch.where(std > 1e-12, std, torch.inf)
    x = (known.double() - mean) / scale
    indicators = F.one_hot(labels).double()
    share = indicators.mean(dim=0)
    y = indicators - share
    values, directions = _principal_axes(x)
    projected = x @ directions
    fits = projected.T @ y
    best, answers, errors = None, torch.empty(0), torch.inf
    for penalty in _PENALTIES:
        shrunk = 1 / (values + penalty * len(x))
        leverage = projected.square() @ shrunk + 1 / len(x)
        residuals = (y - projected @ (shrunk[:, None] * fits)) / (1 - leverage)[:, None]
        if (error := residuals.square().sum().item()) < errors:
            errors, best, answers = error, shrunk, y - residuals
    assert best is not None
    if asked is not None:
        axes = (asked.double() - mean) / scale @ directions
        answers = axes @ (best[:, None] * fits)
    return (answers + share).argmax(dim=1)


def probe_seconds(images: int, width: int) -> float:
    """Seconds that both probes take to be asked for each of N images by the others, on one core.

    Args:
        width: features of an image, before `flat_features`.
    """
    width = min(width, _MOST_FEATURES)
    linear = _LINEAR_S * images * width * min(images, width)
    return linear + _NEIGHBOURS_S * images**2 * width


def _principal_axes(x: Tensor) -> tuple[Tensor, Tensor]:
    """The squared singular values [R] and right singular vectors [D, R] of float64 [N, D], by the
    smaller of its two products with itself: much faster than a singular value decomposition."""
    if x.shape[0] >= x.shape[1]:
        values, vectors = torch.linalg.eigh(x.T @ x)
        return values.clamp(min=0), vectors
    values, vectors = torch.linalg.eigh(x @ x.T)
    kept = values > values[-1] * 1e-10
    return values[kept], x.T @ vectors[:, kept] / values[kept].sqrt()
