"""One run as the store has it: what is there of it, and how it is told the rest."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transfer.tracking.places import local_path, share_room
from transfer.tracking.run_state import WEIGHTS, Key, RunState
from transfer.tracking.store import Client, experiment_id

# Bytes; the small files of a model are written again when it is sent again.
_LARGE = 10**6
# What databases say where another client has just written the same.
_LOST_RACE = re.compile("UniqueViolation|unique constraint|duplicate (key|entry)", re.IGNORECASE)


class UnreadableError(Exception):
    """A file of the run is gone or cannot be read; trying again would not bring it back."""


class DeletedError(Exception):
    """The run was deleted in the store, by somebody who meant it."""


def create_run(client: Client, state: RunState) -> None:
    """Create the run in the store, with its name and tags; sets the state's `run_id`."""
    created = client.create_run(
        experiment_id(client),
        start_time=state.start_time,
        tags={name: value for name, value in state.tags.items() if value is not None},
        run_name=state.name,
    )
    state.run_id = str(created.info.run_id)
    state.uri = client.tracking_uri


class StoredRun:
    """The run of `state` in a store. What a call raises is up to MLflow and what is below it."""

    def __init__(self, client: Client, state: RunState) -> None:
        self._client = client
        self._state = state

    def contents(self) -> dict[Key, Any]:
        """What is there, as `RunState.contents` has it; of a point, `...`.

        Raises:
            DeletedError: the run was deleted there.
            Exception: the store does not answer.
        """
        run_id = self._state.run_id
        run = self._client.get_run(run_id)
        if run.info.lifecycle_stage == "deleted":
            bring_back = f"mlflow runs restore --run-id {run_id}"
            raise DeletedError(f"run {run_id} was deleted there; to have it back: {bring_back}")
        data_sets = [each.dataset for each in run.inputs.dataset_inputs] if run.inputs else []
        there: dict[Key, Any] = {("status", "status", 0): (run.info.status, run.info.end_time)}
        there |= {("parameter", name, 0): value for name, value in run.data.params.items()}
        there |= {("tag", name, 0): value for name, value in run.data.tags.items()}
        there |= {("data set", each.name, 0): each.digest for each in data_sets}
        # One that was written again may have the size of the one before.
        there |= {("file", name, 0): 1 for name in self._whole_files()}
        if self._state.model is not None:
            models = self._logged_models()
            there |= {("model", each.name, 0): each.status.value == "READY" for each in models}
        for metric in run.data.metrics:
            points = self._client.get_metric_history(run_id, metric)
            there |= {("point", metric, point.step): ... for point in points}
        return there

    def send(self, kind: str, things: Sequence[tuple[str, Any]]) -> None:
        """Send names and values of one kind, of some kinds one alone; they may be there already."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

        client, run_id, [(name, value), *_] = self._client, self._state.run_id, things
        match kind:
            case "parameter":
                client.log_batch(run_id, params=[Param(*each) for each in things])
            case "tag":
                tags = [RunTag(*each) for each in things if each[1] is not None]
                client.log_batch(run_id, tags=tags)
                for name, value in things:
                    if value is None:
                        client.delete_tag(run_id, name)
            case "point":
                points = [Metric(each.name, each.value, each.time, each.step) for _, each in things]
                client.log_batch(run_id, metrics=points)
            case "data set":
                data_set = Dataset(**(self._state.data_set or {}))
                context = InputTag("mlflow.data.context", "training")
                client.log_inputs(run_id, [DatasetInput(data_set, [context])])
            case "file":
                self._send_file(self._state.folder / name)
            case "model":
                self._send_model(self._state.folder / name)
            case "status":
                client.set_terminated(run_id, value[0], end_time=value[1])

    def _whole_files(self) -> list[str]:
        try:
            files = self._client.list_artifacts(self._state.run_id)
        except Exception:
            # Artifacts may lie on another machine than the rest, and be sent again without harm.
            return []
        sizes = {file.path: file.file_size for file in files}
        paths = [self._state.folder / name for name in sizes]
        whole = [path for path in paths if path.is_file()]
        return [path.name for path in whole if path.stat().st_size == sizes[path.name]]

    def _logged_models(self) -> list[Any]:
        condition = f"source_run_id = '{self._state.run_id}'"
        experiment = self._client.get_run(self._state.run_id).info.experiment_id
        return list(self._client.search_logged_models([experiment], filter_string=condition))

    def _send_file(self, path: Path) -> None:
        try:
            path.open("rb").close()
        except OSError as error:
            raise UnreadableError(path) from error
        self._client.log_artifact(self._state.run_id, str(path))
        if path.name == WEIGHTS:
            self._share(path, self._client.get_run(self._state.run_id).info.artifact_uri)

    def _share(self, path: Path, address: str) -> None:
        """Let a file, which is never written into again, take the room of one with its copy in a
        folder of the store."""
        there = local_path(address)
        if there is not None:
            share_room(path, there / path.name)

    def _send_model(self, folder: Path) -> None:
        from mlflow.entities import LoggedModelOutput
        from mlflow.models import Model

        run_id = self._state.run_id
        models = [model for model in self._logged_models() if model.name == folder.name]
        model = next(iter(models), None) or self._client.create_logged_model(
            self._client.get_run(run_id).info.experiment_id,
            name=folder.name,
            source_run_id=run_id,
            params=self._state.params,
        )
        self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        description = Model.load(folder)
        description.run_id = run_id
        description.model_id = description.model_uuid = model.model_id
        description.artifact_path = model.artifact_location
        description.save(folder / "MLmodel")
        self._client.log_model_artifacts(model.model_id, str(folder))
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_size >= _LARGE:
                self._share(path, f"{model.artifact_location}/{path.relative_to(folder).parent}")
        self._client.finalize_logged_model(model.model_id, "READY")


def lost_race(error: Exception) -> bool:
    """Whether another client has just written the same, such as a data set that is new: of two at
    once one is refused, and is not if it asks again."""
    return _LOST_RACE.search(str(error)) is not None


def is_final(error: Exception) -> bool:
    """Whether the very same thing would be refused again, whatever became of the store."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        return bool(error.get_http_status_code() == 400) and not lost_race(error)
    mistakes = (UnreadableError, ValueError, TypeError, LookupError, AttributeError)
    return isinstance(error, mistakes) and not isinstance(error, OSError)
