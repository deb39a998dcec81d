"""A run's curves, in the little memory that a report of a thousand runs leaves for each."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# As many as a figure of nine inches can show.
_POINTS = 1000


@dataclass(frozen=True)
class History:
    """The curves of one run.

    Attributes:
        epochs: a row an epoch (its index, from 1), a column a metric such as ``val/acc``.
        iterations, losses: of training batches, at most 1,000, evenly spaced.
        batch_loss_std: standard deviation of the iteration loss over the last epoch, every batch
            counted; NaN without any.
    """

    epochs: pd.DataFrame
    iterations: NDArray[np.int64]
    losses: NDArray[np.float64]
    batch_loss_std: float


# Of a run whose curves are lost.
NO_HISTORY = History(
    epochs=pd.DataFrame(),
    iterations=np.empty(0, dtype=np.int64),
    losses=np.empty(0),
    batch_loss_std=float("nan"),
)


def condense(points: pd.DataFrame) -> History:
    """From every point of a run, as history.parquet has them: metric, epoch, iteration, value."""
    of_steps = (points["metric"] == "step/loss").to_numpy()
    steps, epochs = points[of_steps], points[~of_steps]
    losses = steps["value"].to_numpy(dtype=np.float64)
    last = losses[(steps["epoch"] == steps["epoch"].max()).to_numpy()]
    iterations = steps["iteration"].to_numpy(dtype=np.int64)
    shown = _evenly(iterations)
    return History(
        epochs=_wide(epochs),
        iterations=iterations[shown],
        losses=losses[shown],
        batch_loss_std=float(last.std()) if len(last) else float("nan"),
    )


def _evenly(iterations: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of them to show: the first of each stretch of equal length."""
    # By their numbers, not their places: kept runs have all of the last epoch and some of the rest.
    length = -(-iterations.max(initial=1) // _POINTS)
    return np.diff((iterations - 1) // length, prepend=-1) > 0


def _wide(points: pd.DataFrame) -> pd.DataFrame:
    # As DataFrame.pivot, in a quarter of its time: a report of a thousand runs does it a thousand
    # times.
    columns, metrics = pd.factorize(points["metric"], sort=True)
    lines, epochs = pd.factorize(points["epoch"], sort=True)
    values = np.full((len(epochs), len(metrics)), np.nan)
    values[lines, columns] = points["value"]
    return pd.DataFrame(values, index=epochs, columns=metrics)
