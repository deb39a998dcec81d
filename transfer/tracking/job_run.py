"""What one job tells MLflow: metrics once an epoch, artifacts at the end.

Everything goes to the run's outbox, on disk, and from there to the store in the background.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from torch import Tensor, nn

from transfer.deploy.classifier import save_classifier
from transfer.deploy.mlflow_model import save_mlflow_model
from transfer.job import Job
from transfer.system.disk import DiskError, writing
from transfer.system.errors import root_cause
from transfer.tracking.delivery import MAX_METRICS, Delivery
from transfer.tracking.environment import without_password
from transfer.tracking.outbox import Entry, Kind, Outbox
from transfer.tracking.sender import Sender

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

# 40 epochs of CIFAR-10 are 31,000 iterations; a store of a thousand runs must stay small.
_MAX_STEP_POINTS = 1000


class JobRun:
    """Writes one run. Metrics are sent once an epoch: a call costs as much as several steps.

    Args:
        iterations: training batches of the whole job; decides how many are averaged to a point.
        folder: where artifacts are written before they are logged, and checkpoints are.
        new: whether the store has nothing of this run yet.
        patience_s: seconds that the end waits for a store that does not answer.

    Attributes:
        folder: of the run, wherever and whenever it is resumed.
        undelivered: why the store lacks what is left in the outbox after the end; empty where
            nothing is left.
    """

    def __init__(
        self,
        client: MlflowClient,
        run_id: str,
        iterations: int,
        folder: Path,
        *,
        new: bool,
        patience_s: float,
    ) -> None:
        self.id = run_id
        self.undelivered = ""
        self.folder = folder
        self._stretch = -(-iterations // _MAX_STEP_POINTS)
        self._pending: list[float] = []
        self._iteration = 0
        self._history: list[dict[str, Any]] = []
        self._patience_s = patience_s
        self._outbox = Outbox(folder)
        self._outbox.open(run_id, client.tracking_uri)
        self._delivery = Delivery(client, run_id, folder, new=new)
        self._sender = Sender(self._outbox, self._delivery)

    def log_params(self, values: dict[str, str]) -> None:
        self._sender.append("params", values)

    def log_data(self, description: dict[str, str]) -> None:
        """Log the data set as an input, by the fields of MLflow's Dataset."""
        self._sender.append("inputs", description)

    def log_tags(self, tags: dict[str, str | None]) -> None:
        """Set tags; None deletes one."""
        self._sender.append("tags", tags)

    def start_again(self) -> None:
        """Let a run that had ended run."""
        self._sender.append("status", {"status": "RUNNING"})

    def log_epoch(self, number: int, metrics: dict[str, float], losses: Sequence[float]) -> None:
        """Log an epoch's metrics, and its iteration losses as means over equal stretches; of a run
        that goes on, the store is sent what it lacks.

        Args:
            number: of the epoch, from 1.
            losses: one an iteration.
        """
        self._history += [
            {"metric": name, "epoch": number, "iteration": None, "value": value}
            for name, value in metrics.items()
        ]
        points = [(name, value, number) for name, value in metrics.items()]
        self._send(points + self._step_points(number, losses))

    def log_summary(self, values: dict[str, float]) -> None:
        """Log figures that a run has once."""
        self._send([(name, value, 0) for name, value in values.items()])

    def log_predictions(self, logits: Tensor, labels: Tensor, classes: Sequence[str]) -> None:
        """Keep the test set's float32 logits [N, K], int64 labels [N] and [K] class names."""
        path = self.folder / "predictions.npz"
        with writing(path):
            np.savez_compressed(
                path, logits=logits.numpy(), labels=labels.numpy(), classes=list(classes)
            )
        self._log_file(path)

    def log_weights(self, weights: dict[str, Tensor], job: Job) -> None:
        """Keep the weights, with all that a prediction needs."""
        path = self.folder / "weights.safetensors"
        config = job.config
        with writing(path):
            save_classifier(
                weights,
                path,
                model_name=config.model.name,
                image_size=config.image_size,
                classes=job.data.classes,
                mean=job.data.mean,
                std=job.data.std,
            )
        self._log_file(path)

    def log_model(self, model: nn.Module, image_size: int) -> None:
        """Log an MLflow model as well."""
        folder = self.folder / "model"
        save_mlflow_model(model, image_size, folder)
        self._sender.append("model", folder.name)

    def log_figure(self, name: str, figure: Figure) -> None:
        path = self.folder / name
        with writing(path):
            figure.savefig(path)
        self._log_file(path)

    def history(self) -> pd.DataFrame:
        """Every point so far, every iteration included: metric, epoch, iteration, value."""
        return pd.DataFrame(self._history).astype({"iteration": "Int64"})

    def log_history(self) -> None:
        path = self.folder / "history.parquet"
        with writing(path):
            self.history().to_parquet(path, index=False)
        self._log_file(path)

    def log_text(self, name: str, text: str) -> None:
        path = self.folder / name
        with writing(path):
            path.write_text(text, encoding="utf-8")
        self._log_file(path)

    def log_config(self, composed: DictConfig) -> None:
        from omegaconf import OmegaConf

        path = self.folder / "config.yaml"
        with writing(path):
            path.write_text(without_password(OmegaConf.to_yaml(composed)), encoding="utf-8")
        self._log_file(path)

    def end(self, status: str, error: BaseException | None = None) -> None:
        """FINISHED, FAILED or KILLED; waits until the store has everything, or patience ends.

        Raises:
            DiskError: a FINISHED run could tell this neither the disk nor the store.
        """
        # Part of a stretch is a point only where nothing follows: a run that goes on will fill it.
        if self._pending and status == "FINISHED":
            self._send([self._mean_point()])
        last: list[tuple[Kind, Any]] = []
        if error is not None:
            text = f"{type(error).__name__}: {error}"[:5000]
            story = traceback.format_exc()[-5000:]
            last.append(("tags", {"transfer.error": text, "transfer.traceback": story}))
        last.append(("status", {"status": status, "time": _now_ms()}))
        refused = self._append_what_fits(last)
        # Whoever pressed Ctrl-C waits no longer than must be.
        patience_s = min(self._patience_s, 5.0) if status == "KILLED" else self._patience_s
        self.undelivered = self._sender.finish(patience_s)
        if refused and not self.undelivered:
            self._tell_directly(refused, status)
        if not self.undelivered:
            self._outbox.close()

    def _append_what_fits(self, entries: list[tuple[Kind, Any]]) -> list[Entry]:
        """Append entries; returns those for which the disk is too full."""
        refused = []
        for kind, content in entries:
            try:
                self._sender.append(kind, content)
            except DiskError:
                refused.append(Entry(Path(), kind, content))
        return refused

    def _tell_directly(self, entries: list[Entry], status: str) -> None:
        try:
            for entry in entries:
                self._delivery.send([entry])
        except Exception as error:
            reason = root_cause(error)
            if status == "FINISHED":
                raise DiskError(f"the end of run {self.id} could not be kept: {reason}") from error
            # The run stays RUNNING in the store, which resume=true knows for dead.
            log.warning("the store does not know that run %s is %s: %s", self.id, status, reason)

    def _step_points(self, number: int, losses: Sequence[float]) -> list[tuple[str, float, int]]:
        points = []
        for loss in losses:
            self._iteration += 1
            self._history.append(
                {
                    "metric": "step/loss",
                    "epoch": number,
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
        now = _now_ms()
        stamped = [(name, float(value), step, now) for name, value, step in points]
        # One call of MLflow takes a whole entry.
        for start in range(0, len(stamped), MAX_METRICS):
            self._sender.append("metrics", stamped[start : start + MAX_METRICS])

    def _log_file(self, path: Path) -> None:
        self._sender.append("file", path.name)


def _now_ms() -> int:
    return int(time.time() * 1000)
