"""What the files of a run say: its curves, and what it answered on the test set; knows no torch.

Little memory is taken by each, for a report may have a thousand runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# As many as a figure of nine inches can show.
_POINTS = 1000
# As transfer.evaluate counts it, so that the two figures agree.
BINS = 15


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


def read_history(path: Path) -> History:
    """From history.parquet."""
    return condense(pd.read_parquet(path))


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


@dataclass(frozen=True)
class Predictions:
    """The answers of one run; N test images, K classes.

    Attributes:
        labels: int16 [N], the true classes.
        predicted: int16 [N].
        confidence: float32 [N], the probability given to the predicted class.
        names: of the K classes; their numbers where the run did not save them.
        loss: float32 [N], the negative logarithm of the probability given to the true class; None
            where it was not kept.
    """

    labels: NDArray[np.int16]
    predicted: NDArray[np.int16]
    confidence: NDArray[np.float32]
    names: Sequence[str]
    loss: NDArray[np.float32] | None = None

    @classmethod
    def of_logits(
        cls, logits: NDArray[np.floating], labels: NDArray[np.integer], names: Iterable[object]
    ) -> Self:
        """From float [N, K] logits, int [N] labels and the names of K classes."""
        # A few small arrays are kept instead of all logits: a thousand runs must fit in memory.
        predicted = logits.argmax(axis=1)
        shifted = logits - logits.max(axis=1, keepdims=True)
        totals = np.exp(shifted).sum(axis=1)
        return cls(
            labels=labels.astype(np.int16),
            predicted=predicted.astype(np.int16),
            confidence=(1 / totals).astype(np.float32),
            names=[str(name) for name in names],
            loss=(np.log(totals) - shifted[np.arange(len(labels)), labels]).astype(np.float32),
        )

    @property
    def surest_mistakes(self) -> NDArray[np.int64]:
        """The images that it gets wrong, those first of whose answer it is most confident."""
        wrong = np.flatnonzero(~self.correct)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")]

    @property
    def classes(self) -> int:
        return len(self.names)

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.labels == self.predicted

    @property
    def confusion(self) -> NDArray[np.int64]:
        """[K, K]: rows are true classes, columns predicted ones."""
        index = self.labels.astype(np.int64) * self.classes + self.predicted
        counts = np.bincount(index, minlength=self.classes**2)
        return counts.reshape(self.classes, self.classes)

    @property
    def class_accuracy(self) -> NDArray[np.float64]:
        """[K], 0 to 1; NaN for a class without test images."""
        confusion = self.confusion
        total = confusion.sum(axis=1)
        share = np.full(self.classes, np.nan)
        np.divide(confusion.diagonal(), total, out=share, where=total > 0)
        return share

    def reliability(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Mean confidence, accuracy and number of images of each of 15 bins of confidence.

        Source: Guo et al. 2017, https://arxiv.org/abs/1706.04599. Empty bins are NaN.
        """
        # Bins are (lower, upper]; a confidence of 1 belongs to the last.
        index = np.clip(np.ceil(self.confidence * BINS).astype(int) - 1, 0, BINS - 1)
        count = np.bincount(index, minlength=BINS)
        sums = [
            np.bincount(index, weights, minlength=BINS)
            for weights in (self.confidence, self.correct)
        ]
        with np.errstate(invalid="ignore"):
            confidence, accuracy = (each / np.where(count, count, np.nan) for each in sums)
        return confidence, accuracy, count


def read_predictions(path: Path) -> Predictions:
    """From predictions.npz: float [N, K] logits, int [N] labels and [K] class names. An archive has
    the fields of `Predictions` instead of logits."""
    # allow_pickle=False is numpy's default; said here because nothing from a file may run.
    with np.load(path, allow_pickle=False) as saved:
        if "predicted" in saved:
            return Predictions(
                labels=saved["labels"],
                predicted=saved["predicted"],
                confidence=saved["confidence"].astype(np.float32),
                names=[str(name) for name in saved["classes"]],
                loss=_known_loss(saved["loss"]) if "loss" in saved else None,
            )
        logits, labels = saved["logits"], saved["labels"]
        names = saved["classes"] if "classes" in saved else range(logits.shape[1])
    return Predictions.of_logits(logits, labels, names)


def _known_loss(kept: NDArray[np.float16]) -> NDArray[np.float32] | None:
    return kept.astype(np.float32) if len(kept) else None
