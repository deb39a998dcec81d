"""Entries of an outbox as calls of MLflow, each of which may be repeated without harm.

Whether a request that got no answer has arrived, nobody knows: its answer may be what was lost.
So what the store already has of an entry is left out when it is sent again. A run that goes on
after a kill is treated alike: everything is told again, and what is there stays as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer.tracking.outbox import Entry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

log = logging.getLogger(__name__)

# MLflow takes at most so many a call.
MAX_METRICS = 1000
_MAX_PARAMS = 100


def log_params(client: MlflowClient, run_id: str, values: Mapping[str, str]) -> None:
    """Log any number of parameters."""
    from mlflow.entities import Param

    params = [Param(name, value) for name, value in values.items()]
    for start in range(0, len(params), _MAX_PARAMS):
        client.log_batch(run_id, params=params[start : start + _MAX_PARAMS])


def log_metrics(client: MlflowClient, run_id: str, points: Sequence[Metric]) -> None:
    """Log any number of points."""
    for start in range(0, len(points), MAX_METRICS):
        client.log_batch(run_id, metrics=points[start : start + MAX_METRICS])


class Delivery:
    """Sends entries of one run.

    Args:
        folder: of the job; files are named relative to it.
        new: whether the store has nothing of this run yet, so that it need not be asked.
    """

    def __init__(self, client: MlflowClient, run_id: str, folder: Path, *, new: bool) -> None:
        self._client = client
        self._run_id = run_id
        self._folder = folder
        self._new = new
        self._steps: dict[str, set[int]] = {}

    def send(self, entries: list[Entry]) -> None:
        """Send entries of one kind. After an error, some of it may have arrived.

        Raises:
            Exception: whatever MLflow and what is below it raise.
        """
        try:
            if entries[0].kind == "metrics":
                self._send_metrics([point for entry in entries for point in entry.content])
            else:
                for entry in entries:
                    self._send_one(entry)
        except Exception:
            self._new = False
            self._steps.clear()
            raise

    def _send_one(self, entry: Entry) -> None:
        content = entry.content
        match entry.kind:
            case "params":
                self._send_params(content)
            case "inputs":
                self._send_inputs(content)
            case "tags":
                self._send_tags(content)
            case "file":
                self._send_file(self._folder / Path(content).name)
            case "model":
                self._send_model(self._folder / Path(content).name)
            case "status":
                self._send_status(content)
            case unknown:
                raise ValueError(f"{entry.path} is of an unknown kind: {unknown}")

    def _send_metrics(self, points: list[tuple[str, float, int, int]]) -> None:
        """Points are name, value, step and time in ms; a name has one point a step.

        The time is that of the training, not of the sending. A request that seems lost and arrives
        after it was repeated makes no second point: a database tells equal points by it.
        """
        from mlflow.entities import Metric

        missing = []
        for name, value, step, time in points:
            steps = self._stored_steps(name)
            if step not in steps:
                steps.add(step)
                missing.append(Metric(name, value, time, step))
        log_metrics(self._client, self._run_id, missing)

    def _stored_steps(self, name: str) -> set[int]:
        if name not in self._steps:
            history = [] if self._new else self._client.get_metric_history(self._run_id, name)
            self._steps[name] = {point.step for point in history}
        return self._steps[name]

    def _send_params(self, values: dict[str, str]) -> None:
        # MLflow refuses another value; where the images lie may have changed since.
        stored = {} if self._new else self._client.get_run(self._run_id).data.params
        missing = {name: value for name, value in values.items() if name not in stored}
        log_params(self._client, self._run_id, missing)

    def _send_inputs(self, data: dict[str, str]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        # The store itself tells equal data sets by name and digest.
        context = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(self._run_id, [DatasetInput(Dataset(**data), [context])])

    def _send_tags(self, tags: dict[str, str | None]) -> None:
        """Set tags; null deletes one."""
        stored = self._client.get_run(self._run_id).data.tags if None in tags.values() else {}
        for name, value in tags.items():
            if value is not None:
                self._client.set_tag(self._run_id, name, value)
            elif name in stored:
                self._client.delete_tag(self._run_id, name)

    def _send_file(self, path: Path) -> None:
        if not path.is_file():
            # Waiting would not bring it back, and the rest of the run would wait with it.
            log.warning("%s was deleted before the store had it", path)
            return
        self._client.log_artifact(self._run_id, str(path))

    def _send_model(self, folder: Path) -> None:
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        model = self._logged_model(folder.name)
        self._client.log_outputs(self._run_id, [LoggedModelOutput(model.model_id, step=0)])
        description = Model.load(folder)
        description.run_id = self._run_id
        description.model_id = description.model_uuid = model.model_id
        description.artifact_path = model.artifact_location
        description.save(folder / "MLmodel")
        self._client.log_model_artifacts(model.model_id, str(folder))
        self._client.finalize_logged_model(model.model_id, "READY")

    def _logged_model(self, name: str) -> Any:
        """The run's model of this name, which is created if an earlier attempt has not."""
        run = self._client.get_run(self._run_id)
        experiment = run.info.experiment_id
        condition = f"source_run_id = '{self._run_id}' and name = '{name}'"
        found = self._client.search_logged_models([experiment], filter_string=condition)
        if found:
            return found[0]
        return self._client.create_logged_model(
            experiment, name=name, source_run_id=self._run_id, params=run.data.params
        )

    def _send_status(self, content: dict[str, Any]) -> None:
        """RUNNING, or a final status with its time in ms."""
        if content["status"] == "RUNNING":
            self._client.update_run(self._run_id, status="RUNNING")
        else:
            self._client.set_terminated(self._run_id, content["status"], end_time=content["time"])
