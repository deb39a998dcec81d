"""What one job tells MLflow: metrics once an epoch, artifacts at the end.

Everything goes into the run's folder, and from there to the store in the background.
"""

import copy
import logging
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from transfer.data import ImageData
from transfer.data.image_data import Split
from transfer.deploy.classifier import save_classifier
from transfer.deploy.mlflow_model import save_mlflow_model
from transfer.job import Job
from transfer.system.disk import DiskError, writing
from transfer.system.errors import without_password
from transfer.tracking.artifacts import Predictions
from transfer.tracking.examples import write_examples
from transfer.tracking.run_record import PAUSED_TAG
from transfer.tracking.run_state import WEIGHTS, Point, RunState
from transfer.tracking.standing import Standing, standing_file, write_standing
from transfer.tracking.store import Client
from transfer.tracking.sync import Sync

log = logging.getLogger(__name__)

# 40 epochs of CIFAR-10 are 31,000 iterations; a store of a thousand runs must stay small.
_MAX_STEP_POINTS = 1000
_IMAGES_AT_ONCE = 64


class JobRun:
    """Writes one run. Metrics are sent once an epoch: a call costs as much as several steps.

    Args:
        state: of the run, whose folder gets artifacts and checkpoints; with the store's id of it.
        iterations: training batches of the whole job; decides how many are averaged to a point.
        patience_s: seconds that the end waits for a store that does not answer.

    Attributes:
        folder: of the run, wherever and whenever it is resumed.
        paused: whether it is to go on later.
        undelivered: after the end, what the store lacks and why; empty where it has everything.
    """

    def __init__(
        self, client: Client, state: RunState, iterations: int, *, patience_s: float
    ) -> None:
        self.id = state.run_id
        self.paused = False
        self.undelivered = ""
        self.folder = state.folder
        self._stretch = -(-iterations // _MAX_STEP_POINTS)
        self._pending: list[float] = []
        self._iteration = 0
        # Metric, epoch, iteration, value.
        self._history: list[tuple[str, int, int | None, float]] = []
        self._patience_s = patience_s
        self._state = state
        self._sync = Sync(client, state)

    def log_epoch(self, number: int, metrics: dict[str, float], losses: Sequence[float]) -> None:
        """Log an epoch's metrics, and its iteration losses as means over equal stretches; of a run
        that goes on, the store is sent what it lacks.

        Args:
            number: of the epoch, from 1.
            losses: one an iteration.
        """
        self._history += [(name, number, None, value) for name, value in metrics.items()]
        points = [(name, value, number) for name, value in metrics.items()]
        self._append(points + self._step_points(number, losses))

    def log_summary(self, values: dict[str, float]) -> None:
        """Log figures that a run has once."""
        self._append([(name, value, 0) for name, value in values.items()])

    def log_predictions(self, logits: Tensor, labels: Tensor, classes: Sequence[str]) -> None:
        """Keep the test set's float32 logits [N, K], int64 labels [N] and [K] class names."""
        arrays: dict[str, Any] = {"logits": logits.numpy(), "labels": labels.numpy()}
        arrays["classes"] = list(classes)
        self._keep("predictions.npz", lambda path: np.savez_compressed(path, **arrays))

    def log_examples(self, logits: Tensor, labels: Tensor, data: ImageData, most: int) -> None:
        """Keep small pictures of the test images that the network gets wrong, the surest first.

        Args:
            logits, labels: of the test split, in its order.
            most: how many are kept at most; 0 keeps no file.
        """
        if most == 0:
            return
        answers = Predictions.of_logits(logits.numpy(), labels.numpy(), data.classes)
        images = _images(data.test, torch.from_numpy(answers.surest_mistakes[:most]))
        self._keep("examples.npz", lambda path: write_examples(path, images))

    def log_pause(
        self, epoch: int, score: float, logits: Tensor, labels: Tensor, classes: Sequence[str]
    ) -> None:
        """Keep how the run stands after this epoch; it then ends as one that paused.

        Args:
            score: of its best epoch on the validation images; more is better.
            logits, labels: of the validation images then, float32 [N, K] and int64 [N].
            classes: the names of the K classes.
        """
        answers = Predictions.of_logits(logits.numpy(), labels.numpy(), classes)
        standing = Standing(score, answers)
        self._keep(standing_file(epoch), lambda path: write_standing(path, standing))
        self._state.update(tags=self._state.tags | {PAUSED_TAG: str(epoch)})
        self.paused = True

    def log_weights(self, weights: dict[str, Tensor], job: Job) -> None:
        """Keep the weights, with all that a prediction needs; not with `tracking.weights=none`."""
        if job.config.tracking.weights == "none":
            return

        def save(path: Path) -> None:
            save_classifier(
                weights,
                path,
                model_name=job.config.model.name,
                image_size=job.config.image_size,
                classes=job.data.classes,
                stored_size=job.data.test.stored.shape[-1],
                fit=getattr(job.config.data, "fit", "crop"),
                normalization=job.normalization,
                trained_on=job.trained_on,
            )

        self._keep(WEIGHTS, save)

    def log_model(self, model: nn.Module, image_size: int) -> None:
        """Log an MLflow model as well."""
        folder = self.folder / "model"
        save_mlflow_model(model, image_size, folder)
        self._state.update(model=folder.name)
        self._sync.wake()

    def log_history(self) -> None:
        """Keep every point, every iteration included: metric, epoch, iteration, value."""
        columns = ["metric", "epoch", "iteration", "value"]
        history = pd.DataFrame(self._history, columns=columns).astype({"iteration": "Int64"})
        self._keep("history.parquet", lambda path: history.to_parquet(path, index=False))

    def log_file(self, path: Path) -> None:
        """Log a file in the run's folder as an artifact."""
        times = self._state.artifacts.get(path.name, 0) + 1
        self._state.update(artifacts=self._state.artifacts | {path.name: times})
        self._sync.wake()

    def log_text(self, name: str, text: str) -> None:
        self._keep(name, lambda path: path.write_text(text, encoding="utf-8"))

    def log_config(self, composed: DictConfig, job: Job) -> None:
        """Keep what was composed, with the weights that were chosen for the job."""
        chosen = copy.deepcopy(composed)
        OmegaConf.update(chosen, "weights", job.config.weights)
        self.log_text("config.yaml", without_password(OmegaConf.to_yaml(chosen)))

    def end(self, status: str, error: BaseException | None = None) -> None:
        """As FINISHED, FAILED, KILLED or PAUSED; waits until the store has everything, or patience
        ends.

        Raises:
            DiskError: a FINISHED run could tell this neither the disk nor the store.
        """
        text = f"{type(error).__name__}: {error}"[:5000]
        story = traceback.format_exc()[-5000:]
        tags = {} if error is None else {"transfer.error": text, "transfer.traceback": story}
        refused: DiskError | None = None
        try:
            # Part of a stretch is a point only where nothing follows: a run that goes on fills it.
            if self._pending and status == "FINISHED":
                self._append([self._mean_point()])
        except DiskError as full:
            refused = full
        try:
            self._state.update(tags=self._state.tags | tags, end_time=_now_ms(), status=status)
        except DiskError as full:
            refused = full
        self._sync.wake()
        # Whoever pressed Ctrl-C waits no longer than must be.
        patience_s = min(self._patience_s, 5.0) if status == "KILLED" else self._patience_s
        self._sync.finish(patience_s)
        if self._sync.deleted:
            # Who deleted it wants none of it: that is no failure of the training.
            log.warning("not in the store: %s; all of it is in %s", self._sync.why, self.folder)
        self.undelivered = "" if self._sync.deleted else str(self._sync)
        if refused and self.undelivered:
            if status == "FINISHED":
                problem = f"the end of run {self.id} could not be kept {self.undelivered}"
                raise DiskError(problem) from refused
            # The run stays RUNNING in the store, which resume=true knows for dead.
            log.warning("the store may not know that run %s is %s", self.id, status)

    def _step_points(self, number: int, losses: Sequence[float]) -> list[tuple[str, float, int]]:
        points = []
        for loss in losses:
            self._iteration += 1
            self._history.append(("step/loss", number, self._iteration, loss))
            self._pending.append(loss)
            if len(self._pending) == self._stretch:
                points.append(self._mean_point())
        return points

    def _mean_point(self) -> tuple[str, float, int]:
        mean = sum(self._pending) / len(self._pending)
        self._pending.clear()
        return ("step/loss", mean, self._iteration)

    def _append(self, points: list[tuple[str, float, int]]) -> None:
        now = _now_ms()
        self._state.append([Point(name, float(value), step, now) for name, value, step in points])
        self._sync.wake()

    def _keep(self, name: str, write: Callable[[Path], object]) -> None:
        """Write a file into the run's folder, as an artifact."""
        path = self.folder / name
        with writing(path):
            # One that an earlier run left here may be the store's file of that run, too.
            path.unlink(missing_ok=True)
            write(path)
        self.log_file(path)


def _images(split: Split, indices: Tensor) -> Iterator[tuple[int, NDArray[np.uint8], str]]:
    """The number, the levels and the file's name of each of these images."""
    # Few at a time, for whoever asks for them may soon have enough.
    for some in indices.split(_IMAGES_AT_ONCE):
        names = split.file_names(some) or [""] * len(some)
        yield from zip(some.tolist(), split.take(some).numpy(), names, strict=True)


def _now_ms() -> int:
    return int(time.time() * 1000)
