"""Whether a store has every point of a training, once."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.entities import Run

A_POINT_AN_EPOCH = {
    *("train/loss", "train/acc", "val/loss", "val/acc", "val/balanced_acc"),
    *("lr/head", "lr/backbone", "time/epoch_s"),
}


def require_every_point(client: MlflowClient, run: Run, epochs: int, iterations: int) -> int:
    """Assert that a finished run has all of its points in order, none of them twice.

    Args:
        iterations: of an epoch.

    Returns:
        How many.
    """
    points = 0
    for metric in run.data.metrics:
        steps = [step for step, _ in metric_history(client, run, metric)]
        if metric in A_POINT_AN_EPOCH:
            assert steps == list(range(1, epochs + 1)), metric
        elif metric == "step/loss":
            assert steps == list(range(1, epochs * iterations + 1))
        else:
            assert steps == [0], metric
        points += len(steps)
    assert {*A_POINT_AN_EPOCH, "step/loss", "test/acc", "time/train_s"} <= run.data.metrics.keys()
    return points


def metric_history(client: MlflowClient, run: Run, metric: str) -> list[tuple[int, float]]:
    """Steps and values, in the order of the steps."""
    history = client.get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in history)
