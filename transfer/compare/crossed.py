"""Two kinds of luck at once: replicates and test images as crossed random factors.

Another training of the same recipe gives another network, and other test images another accuracy.
With D[s, i] the difference of two recipes on image i under replicate s, and the mean squares of a
two-way layout with one observation a cell, the variance of the mean of all D is

    (MS_replicates + MS_images - MS_residual) / (S N),

as generalizability theory has it for persons and items (Cronbach et al. 1972; Brennan 2001,
"Generalizability Theory", chapters 3 and 7), and the study of readers and cases for radiologists
(Obuchowski and Rockette 1995). It assumes that replicates and images are drawn independently of
each other and at random; of the distribution of either nothing, for means are compared.

MS_images and MS_residual are known well. MS_replicates has S - 1 degrees of freedom. Independent
trainings let it be estimated as the sum of what the two recipes scatter on their own, and what one
recipe scatters can be moderated by what the others do (Smyth 2004, "Linear models and empirical
Bayes methods", Statistical Applications in Genetics 3), with the weight of `_PRIOR` degrees of
freedom and of no more than a third of those that the others have.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transfer.compare.replicates import Replicate
from transfer.compare.scores import Scores
from transfer.compare.statistics import Floats
from transfer.compare.uncertain import Variance

_PRIOR = 2.0
_SHARE = 1 / 3


@dataclass(frozen=True)
class Scatter:
    """How far replicates scatter over many recipes.

    Attributes:
        variance: of the score of one replicate about its recipe's, on the same test images.
        freedom: the degrees of freedom of that.
    """

    variance: float
    freedom: float

    def moderate(
        self, variances: Floats, freedom: float, share: float = _SHARE
    ) -> tuple[Floats, float]:
        """Draw variances of single recipes, each with `freedom` degrees, towards this one; return
        them with the degrees that each has then. `share` is what those of the others count."""
        weight = min(_PRIOR, share * max(self.freedom - freedom, 0.0))
        total = weight + freedom
        return (weight * self.variance + freedom * variances) / total, total


NO_SCATTER = Scatter(0.0, 0.0)


@dataclass(frozen=True)
class Differences:
    """Means of scores, or differences of such, each with its variance in two parts.

    Attributes:
        mean: of any shape, as the others.
        variance: of the mean: what replicates bring, estimated from few of them, and what test
            images bring, known.
        draw: the variance of one draw, such as a training. The J-th part of it is in the variance
            of the mean of J draws; the rest of that stays however many there are.
    """

    mean: Floats
    variance: Variance
    draw: Floats


def units(replicates: Sequence[Replicate]) -> Floats:
    """Which of a configuration's replicates are one draw: by column, the share of each replicate.

    Trainings on one split are draws of the seed; of several splits each is a draw, its trainings
    averaged. [C, J].
    """
    splits = [replicate.split for replicate in replicates]
    names = list(splits if len(set(splits)) > 1 else replicates)
    order = {name: column for column, name in enumerate(dict.fromkeys(names))}
    columns = np.array([order[name] for name in names], dtype=np.int64)
    shares = np.eye(len(order))[columns]
    return np.asarray(shares / shares.sum(axis=0))


def own_scatter(scores: Scores, runs: Sequence[int], shares: Floats) -> float:
    """Variance of a recipe's scores over its draws, at least two."""
    return float(np.var(scores.means[list(runs)] @ shares, ddof=1))


def single(
    scores: Scores, runs: Sequence[int], shares: Floats, *, scatter: Scatter, overlap: float
) -> Differences:
    """The mean score of one recipe; arguments as for `differences`."""
    chosen, draws = list(runs), shares.shape[1]
    own = scores.covariance[np.ix_(chosen, chosen)]
    own_variance = np.array(own_scatter(scores, runs, shares))
    # One interval, of which no tail is corrected for many, may trust the others wholly.
    variance, freedom = scatter.moderate(own_variance, float(draws - 1), share=1.0)
    of_one, of_all = _within(own[None], shares)
    found = _variance(
        variance, of_one[0], of_all[0], draws=draws, images=scores.images, overlap=overlap
    )
    mean = scores.means[chosen] @ shares.mean(axis=1)
    return Differences(mean, replace(found, freedom=np.array(freedom)), variance)


def differences(
    scores: Scores,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    shares: Floats,
    *,
    scatter: Scatter,
    overlap: float,
) -> Differences:
    """Each of some recipes minus each of others, all [A, B], over the replicates that all have.

    Args:
        scores: of all runs.
        first, second: [A, C] and [B, C], which runs are the C common replicates of each recipe.
        shares: [C, J], as `units` gives them, of at least two draws.
        scatter: over all recipes.
        overlap: what the variance of a draw counts more because training sets overlap, as
            `overlap_of` gives it.
    """
    one, other, draws = first, second, shares.shape[1]
    means = [scores.means[runs] @ shares for runs in (one, other)]
    variances = [np.var(each, axis=1, ddof=1) for each in means]
    moderated, freedom = zip(
        *(scatter.moderate(each, float(draws - 1)) for each in variances), strict=True
    )
    summed = moderated[0][:, None] + moderated[1]
    squares = moderated[0][:, None] ** 2 / freedom[0] + moderated[1] ** 2 / freedom[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        joint = np.where(squares > 0, summed**2 / squares, draws - 1)
    own = [_within(scores.covariance[r[:, :, None], r[:, None, :]], shares) for r in (one, other)]
    block = scores.covariance[one[:, None, :, None], other[None, :, None, :]]
    between = np.einsum("abcd,cj,dj->ab", block, shares, shares) / draws
    share = shares.mean(axis=1)
    across = np.einsum("abcd,c,d->ab", block, share, share)
    variance = _variance(
        summed,
        own[0][0][:, None] + own[1][0] - 2 * between,
        own[0][1][:, None] + own[1][1] - 2 * across,
        draws=draws,
        images=scores.images,
        overlap=overlap,
    )
    freedom_of_both = np.minimum(joint, max(scatter.freedom, draws - 1))
    mean = means[0].mean(axis=1)[:, None] - means[1].mean(axis=1)
    return Differences(mean, replace(variance, freedom=freedom_of_both), summed)


def _within(covariance: Floats, shares: Floats) -> tuple[Floats, Floats]:
    """Find the variances over images of one draw of each recipe, mean over draws, and of the mean
    of all its draws, both [R], from covariances [R, C, C]."""
    share = shares.mean(axis=1)
    of_one = np.einsum("rcd,cj,dj->r", covariance, shares, shares) / shares.shape[1]
    return of_one, np.einsum("rcd,c,d->r", covariance, share, share)


def _variance(
    variance: Floats, of_one: Floats, of_all: Floats, *, draws: int, images: int, overlap: float
) -> Variance:
    """Build the variance of the mean from that over draws, and from those over images of one draw
    and of the mean of all; with the degrees of freedom of a single recipe."""
    residual = np.maximum(draws / (draws - 1) * (of_one - of_all), 0) / images
    return Variance(
        estimated=variance / draws + overlap * np.maximum(variance - residual, 0),
        freedom=np.full_like(residual, draws - 1),
        # On few images draws differ by what is new with each training, and by no less.
        least=residual / draws,
        known=np.maximum(of_all / images - residual / draws, 0),
    )
