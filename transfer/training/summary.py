"""The figures that a training has once: how good it became, and how long it took."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from transfer.evaluate import Evaluation
from transfer.training.epoch import Epoch


def summary_metrics(history: Sequence[Epoch], test: Evaluation) -> dict[str, float]:
    """Accuracy and its kin, as fractions; loss in nats; times in seconds.

    Args:
        history: every epoch.
        test: measures of the weights that were best on validation.
    """
    best = [epoch for epoch in history if epoch.best][-1]
    return {
        "best/val_acc": best.val_accuracy,
        "best/epoch": best.number,
        "test/acc": test.accuracy,
        "test/loss": test.loss,
        "test/ece": test.ece,
        "time/train_s": sum(epoch.seconds for epoch in history),
        "throughput/train_img_s": statistics.median(
            epoch.train_images_per_second for epoch in history
        ),
    }
