"""One job's run in MLflow: opened before training, fed once an epoch, ended whatever happens."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from transfer.classifier import save_classifier
from transfer.config import flatten
from transfer.fit import Epoch
from transfer.job import Job
from transfer.tracking.environment import environment_tags
from transfer.tracking.store import experiment_id, open_store, store_uri
from transfer.tracking.sweep_run import SweepRun

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
        folder: where artifacts are written before they are logged.
    """

    def __init__(self, client: MlflowClient, run_id: str, iterations: int, folder: Path) -> None:
        self.id = run_id
        self._client = client
        self._folder = folder
        self._stretch = -(-iterations // _MAX_STEP_POINTS)
        self._pending: list[float] = []
        self._iteration = 0
        self._history: list[dict[str, Any]] = []

    def log_epoch(self, epoch: Epoch) -> None:
        """Log one epoch's metrics, and its iteration losses as means over equal stretches."""
        values = {
            "train/loss": epoch.train_loss,
            "train/acc": epoch.train_accuracy,
            "val/loss": epoch.val_loss,
            "val/acc": epoch.val_accuracy,
            "lr/head": epoch.head_lr,
            "lr/backbone": epoch.backbone_lr,
            "time/epoch_s": epoch.seconds,
        }
        points = [(name, value, epoch.number) for name, value in values.items()]
        points += self._step_points(epoch)
        self._send(points)
        self._history += [
            {"metric": name, "epoch": epoch.number, "iteration": None, "value": value}
            for name, value in values.items()
        ]

    def log_summary(self, values: dict[str, float]) -> None:
        """Log figures that a run has once."""
        self._send([(name, value, 0) for name, value in values.items()])

    def log_predictions(self, logits: Tensor, labels: Tensor) -> None:
        """Keep the test set's float32 logits [N, K] and int64 labels [N]."""
        path = self._folder / "predictions.npz"
        np.savez_compressed(path, logits=logits.numpy(), labels=labels.numpy())
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
        """FINISHED, FAILED or KILLED; what is still buffered is sent first."""
        if self._pending:
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
        metrics = [Metric(name, value, now, step) for name, value, step in points]
        # MLflow takes at most 1,000 metrics a call.
        for start in range(0, len(metrics), 1000):
            self._client.log_batch(self.id, metrics=metrics[start : start + 1000])

    def _log_file(self, path: Path) -> None:
        self._client.log_artifact(self.id, str(path))


@contextmanager
def start_run(job: Job, iterations: int, folder: Path, sweep: SweepRun | None) -> Iterator[JobRun]:
    """Open a run for `job`; it ends FINISHED, or FAILED or KILLED with the error as a tag.

    Args:
        iterations: training batches of the whole job.
        folder: Hydra's output folder of the job.
        sweep: the sweep that the job is part of.
    """
    client = open_store(store_uri(job.config.tracking.uri))
    tags = {
        **environment_tags(),
        "transfer.fingerprint": job.fingerprint,
        "transfer.configuration": job.configuration,
        "hydra.output_dir": str(folder),
    }
    if sweep is not None:
        tags |= {"transfer.sweep": sweep.name, "mlflow.parentRunId": sweep.run_id}
    created = client.create_run(experiment_id(client), run_name=job.name, tags=tags)
    run = JobRun(client, created.info.run_id, iterations, folder)
    try:
        _log_inputs(client, run.id, job)
        yield run
    except Exception as error:
        run.end("FAILED", error)
        raise
    except BaseException as error:
        run.end("KILLED", error)
        raise
    run.end("FINISHED")


def _log_inputs(client: MlflowClient, run_id: str, job: Job) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    values = flatten(job.config) | {
        "data.digest": job.data.digest,
        "data.classes": len(job.data.classes),
        "weights.digest": job.weights.digest,
    }
    params = [
        Param(name, "null" if value is None else str(value)) for name, value in values.items()
    ]
    client.log_batch(run_id, params=params)
    sizes = {
        "train": len(job.data.train),
        "validation": len(job.data.val),
        "test": len(job.data.test),
    }
    dataset = Dataset(
        name=job.data.name,
        digest=job.data.digest,
        source_type="local",
        source=json.dumps({"root": job.config.data.root}),
        profile=json.dumps(sizes),
    )
    context = InputTag("mlflow.data.context", "training")
    client.log_inputs(run_id, [DatasetInput(dataset, [context])])
