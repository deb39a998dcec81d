"""What one job writes to MLflow: metrics once an epoch, artifacts at the end."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from transfer.classifier import save_classifier
from transfer.fit import Checkpoints, Epoch
from transfer.job import Job
from transfer.models import use_matrix_products

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from omegaconf import DictConfig

# 40 epochs of CIFAR-10 are 31,000 iterations; a store of a thousand runs must stay small.
_MAX_STEP_POINTS = 1000


class JobRun:
    """Writes one run. Metrics are sent once an epoch: a call costs as much as several steps.

    Args:
        iterations: training batches of the whole job; decides how many are averaged to a point.
        folder: where artifacts are written before they are logged, and checkpoints are.
        sent: names and steps of the points that the store has, of a run that goes on.

    Attributes:
        checkpoints: of this run, wherever and whenever it is resumed.
    """

    def __init__(
        self,
        client: MlflowClient,
        run_id: str,
        iterations: int,
        folder: Path,
        sent: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        self.id = run_id
        self._client = client
        self.checkpoints = Checkpoints(folder)
        self._folder = folder
        self._stretch = -(-iterations // _MAX_STEP_POINTS)
        self._pending: list[float] = []
        self._iteration = 0
        self._history: list[dict[str, Any]] = []
        self._sent = sent

    def log_epoch(self, epoch: Epoch) -> None:
        """Log one epoch's metrics, and its iteration losses as means over equal stretches."""
        self._send(self._points(epoch))

    def catch_up(self, history: Sequence[Epoch]) -> None:
        """Take in the epochs of a run that goes on: a kill may have come before they were sent."""
        self._send([point for epoch in history for point in self._points(epoch)])

    def _points(self, epoch: Epoch) -> list[tuple[str, float, int]]:
        """An epoch's metrics as name, value and step; keeps them in the history."""
        values = {
            "train/loss": epoch.train_loss,
            "train/acc": epoch.train_accuracy,
            "val/loss": epoch.val_loss,
            "val/acc": epoch.val_accuracy,
            "lr/head": epoch.head_lr,
            "lr/backbone": epoch.backbone_lr,
            "time/epoch_s": epoch.seconds,
        }
        self._history += [
            {"metric": name, "epoch": epoch.number, "iteration": None, "value": value}
            for name, value in values.items()
        ]
        points = [(name, value, epoch.number) for name, value in values.items()]
        return points + self._step_points(epoch)

    def log_summary(self, values: dict[str, float]) -> None:
        """Log figures that a run has once."""
        self._send([(name, value, 0) for name, value in values.items()])

    def log_predictions(self, logits: Tensor, labels: Tensor, classes: Sequence[str]) -> None:
        """Keep the test set's float32 logits [N, K], int64 labels [N] and [K] class names."""
        path = self._folder / "predictions.npz"
        np.savez_compressed(
            path, logits=logits.numpy(), labels=labels.numpy(), classes=list(classes)
        )
        self._log_file(path)

    def log_weights(self, weights: dict[str, Tensor], job: Job) -> None:
        """Keep the weights, with all that a prediction needs."""
        path = self._folder / "weights.safetensors"
        config = job.config
        save_classifier(
            weights,
            path,
            model_name=config.model.name,
            image_size=config.image_size,
            data=job.data,
        )
        self._log_file(path)

    def log_model(self, model: nn.Module, image_size: int) -> None:
        """Log an MLflow model as well: it reads normalised float32 [N, 3, H, W], gives logits."""
        import mlflow
        from mlflow.models import infer_signature

        model = model.cpu().eval()
        # The exporter wants one way for every batch, and readers want torchvision's own layers.
        use_matrix_products(model, use=False)
        # Two images: the exporter takes a size of one for a constant.
        example = torch.zeros(2, 3, image_size, image_size)
        with torch.inference_mode():
            signature = infer_signature(example.numpy(), model(example).numpy())
        mlflow.set_tracking_uri(self._client.tracking_uri)
        with mlflow.start_run(run_id=self.id):
            mlflow.pytorch.log_model(
                model, name="model", signature=signature, input_example=example
            )

    def log_figure(self, name: str, figure: Figure) -> None:
        path = self._folder / name
        figure.savefig(path)
        self._log_file(path)

    def history(self) -> pd.DataFrame:
        """Every point so far, every iteration included: metric, epoch, iteration, value."""
        return pd.DataFrame(self._history).astype({"iteration": "Int64"})

    def log_history(self) -> None:
        path = self._folder / "history.parquet"
        self.history().to_parquet(path, index=False)
        self._log_file(path)

    def log_config(self, composed: DictConfig) -> None:
        from omegaconf import OmegaConf

        path = self._folder / "config.yaml"
        OmegaConf.save(composed, path)
        self._log_file(path)

    def end(self, status: str, error: BaseException | None = None) -> None:
        """FINISHED, FAILED or KILLED."""
        # Part of a stretch is a point only where nothing follows: a run that goes on will fill it.
        if self._pending and status == "FINISHED":
            self._send([self._mean_point()])
        if error is not None:
            text = f"{type(error).__name__}: {error}"
            self._client.set_tag(self.id, "transfer.error", text[:5000])
            self._client.set_tag(self.id, "transfer.traceback", traceback.format_exc()[-5000:])
        self._client.set_terminated(self.id, status)

    def _step_points(self, epoch: Epoch) -> list[tuple[str, float, int]]:
        points = []
        for loss in epoch.iteration_losses:
            self._iteration += 1
            self._history.append(
                {
                    "metric": "step/loss",
                    "epoch": epoch.number,
                    "iteration": self._iteration,
                    "value": loss,
                }
            )
            self._pending.append(loss)
            if len(self._pending) == self._stretch:
                points.append(self._mean_point())
        return points

    def _mean_point(self) -> tuple[str, float, int]:
        mean = sum(self._pending) / len(self._pending)
        self._pending.clear()
        return ("step/loss", mean, self._iteration)

    def _send(self, points: list[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, step)
            for name, value, step in points
            if (name, step) not in self._sent
        ]
        # MLflow takes at most 1,000 metrics a call.
        for start in range(0, len(metrics), 1000):
            self._client.log_batch(self.id, metrics=metrics[start : start + 1000])

    def _log_file(self, path: Path) -> None:
        self._client.log_artifact(self.id, str(path))
