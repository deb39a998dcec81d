"""Draws of true scores, given measured ones whose scatter is partly known."""

import numpy as np
from scipy import stats

from transfer.compare.statistics import Floats

_DRAWS = 20_000
# Quantiles of what the estimated part of the variance may really be, and spreads of true scores.
_SCATTERS, _SPREADS = 9, 24


def draw_scores(means: Floats, estimated: Floats, freedom: float, known: Floats) -> Floats:
    """Draws [20000, R] of the true scores of R recipes, up to a constant of each draw.

    Args:
        means: [R], as measured.
        estimated, known: [R, R], the two parts of the variances of all differences, as in
            `uncertain.p_values`.
        freedom: the degrees of freedom of `estimated`.

    The true scores are normal about a mean that may be anything, with a standard deviation that may
    be anything up to ten times what the measured ones scatter, a flat prior as Gelman 2006 has it
    ("Prior distributions for variance parameters", Bayesian Analysis 1): many candidates then tell
    how much of the best one's lead is luck. What the estimated part of the variance may really be
    is averaged over, too.
    """
    random = np.random.default_rng(0)
    basis = _contrasts(len(means))
    measured = basis.T @ means
    parts = [basis.T @ _covariance(each) @ basis for each in (estimated, known)]
    error = np.sqrt(max(np.trace(parts[0] + parts[1]) / len(measured), 1e-18))
    scatter = np.sqrt(np.mean(measured**2))
    spreads = np.geomspace(0.1 * error, 10 * max(scatter, error), _SPREADS)
    levels = (np.arange(_SCATTERS) + 0.5) / _SCATTERS
    factors = freedom / stats.chi2.ppf(levels, freedom)
    systems = [np.linalg.eigh(parts[0] * factor + parts[1]) for factor in factors]
    weights = np.array(
        [[_likelihood(v, q.T @ measured, spread**2) for spread in spreads] for v, q in systems]
    )
    # Spreads stand evenly by their logarithm: a flat prior gives each the room that it has.
    weights += np.log(spreads)
    chances = np.exp(weights - weights.max())
    counts = random.multinomial(_DRAWS, (chances / chances.sum()).ravel()).reshape(chances.shape)
    found = []
    for (values, vectors), row in zip(systems, counts, strict=True):
        variances = np.maximum(values, 0)
        turned = vectors.T @ measured
        for spread, count in zip(spreads, row, strict=True):
            kept = spread**2 / (spread**2 + variances)
            noise = random.standard_normal((count, len(turned))) * np.sqrt(kept * variances)
            found.append((kept * turned + noise) @ (basis @ vectors).T)
    return np.concatenate(found)


def _likelihood(variances: Floats, measured: Floats, spread: float) -> float:
    total = np.maximum(variances, 0) + spread
    return float(-(np.log(total) + measured**2 / total).sum() / 2)


def _contrasts(count: int) -> Floats:
    """An orthonormal basis [R, R - 1] of what is left without the mean."""
    _, vectors = np.linalg.eigh(np.eye(count) - 1 / count)
    return np.asarray(vectors[:, 1:])


def _covariance(variances: Floats) -> Floats:
    """A covariance that gives differences these variances (Gower 1966), as near as one can."""
    return np.asarray(-variances / 2)
