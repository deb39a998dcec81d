"""Finding sweeps and runs again, from MLflow alone."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transfer.system.errors import ConfigError
from transfer.tracking.store import experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 1000
# A sweep's tag: the names of the folders of all commands that went on with it.
RESUMED_AS = "transfer.resumed_as"


@dataclass(frozen=True)
class RunRecord:
    """A run as the store has it; metrics are the last logged values.

    Attributes:
        artifacts: address of its artifacts' folder.
    """

    id: str
    name: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    artifacts: str = ""

    @property
    def finished(self) -> bool:
        return self.status == "FINISHED"


def find_sweep_run(client: MlflowClient, choice: str) -> RunRecord:
    """The parent run of a sweep.

    Args:
        choice: "latest", a sweep's folder such as 2026-11-24/12-00-00, or a parent's run id.

    Raises:
        ConfigError: there is no such sweep.
    """
    condition = "tags.`transfer.kind` = 'sweep'"
    if choice != "latest":
        quoted = choice.replace("'", "")
        found = (
            _search(client, f"{condition} and tags.`transfer.sweep` = '{quoted}'", limit=1)
            or _search(client, f"{condition} and attributes.run_id = '{quoted}'", limit=1)
            or _resumed_as(client, condition, quoted)
        )
    else:
        found = _search(client, condition, limit=1)
    if not found:
        problem = "no such sweep; give latest, <date>/<time> as below multirun/, or a run id"
        raise ConfigError("sweep", choice, problem)
    return found[0]


def _resumed_as(client: MlflowClient, condition: str, name: str) -> list[RunRecord]:
    # LIKE narrows the search; % and _ in the name, or a longer name, would make it find too much.
    found = _search(client, f"{condition} and tags.`{RESUMED_AS}` LIKE '%{name}%'")
    return [run for run in found if name in run.tags[RESUMED_AS].split()]


def find_sweep_runs(client: MlflowClient, choices: str) -> list[RunRecord]:
    """The parent runs of several sweeps, as `find_sweep_run` names them, with commas between."""
    return [find_sweep_run(client, choice.strip()) for choice in choices.split(",")]


def find_sweep_of_jobs(client: MlflowClient, digest: str) -> RunRecord | None:
    """The latest sweep of exactly these jobs, by the digest of their fingerprints."""
    found = _search(client, f"tags.`transfer.jobs_digest` = '{digest}'", limit=1)
    return found[0] if found else None


def find_job_runs(client: MlflowClient) -> list[RunRecord]:
    """Every run of a job, of any sweep or of none, oldest first."""
    return _search(client, "tags.`transfer.fingerprint` != ''")[::-1]


def find_sweep_jobs(client: MlflowClient, sweep: RunRecord) -> list[RunRecord]:
    """The runs of a sweep: its own, oldest first, and those that earlier sweeps had begun.

    A job that never started is listed too, without an id and as NOT STARTED. The tag
    `transfer.overrides`, which the store does not have, says what the sweep asked of each.
    """
    planned = {job["fingerprint"]: job for job in _planned_jobs(client, sweep)}
    runs = _search(client, f"tags.`mlflow.parentRunId` = '{sweep.id}'")[::-1]
    own = {run.tags["transfer.fingerprint"] for run in runs}
    for fingerprint, job in planned.items():
        if fingerprint in own:
            continue
        others = find_by_fingerprint(client, fingerprint)
        finished = [run for run in others if run.finished]
        tags = {"transfer.fingerprint": fingerprint}
        missing = RunRecord("", job["name"], "NOT STARTED", {}, {}, tags)
        runs.append(next(iter(finished or others), missing))
    return [_with_overrides(run, planned.get(run.tags["transfer.fingerprint"])) for run in runs]


def _with_overrides(run: RunRecord, job: dict[str, str] | None) -> RunRecord:
    tags = run.tags | {"transfer.overrides": job["overrides"]} if job else run.tags
    return replace(run, tags=tags)


def _planned_jobs(client: MlflowClient, sweep: RunRecord) -> list[dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = fetch_artifact(client, sweep, "jobs.json", Path(folder))
        jobs: list[dict[str, str]] = json.loads(path.read_text())["jobs"]
    return jobs


def find_by_fingerprint(client: MlflowClient, fingerprint: str) -> list[RunRecord]:
    """Every run of one result, whatever its state, newest first."""
    return _search(client, f"tags.`transfer.fingerprint` = '{fingerprint}'")


def find_similar(client: MlflowClient, params: dict[str, str]) -> RunRecord | None:
    """The newest finished run with these parameters."""
    conditions = [f"params.`{name}` = '{value}'" for name, value in params.items()]
    found = _search(client, " and ".join(["attributes.status = 'FINISHED'", *conditions]), limit=1)
    return found[0] if found else None


def find_job_run(
    client: MlflowClient, choice: str, *, key: str = "run", value: str | None = None
) -> RunRecord:
    """One finished run by its id, or the "latest".

    Args:
        key, value: what the user wrote, for the message; the value is `choice` unless given.

    Raises:
        ConfigError: there is no such run, or it did not finish.
    """
    from mlflow.exceptions import MlflowException

    given = choice if value is None else value
    if choice == "latest":
        # One that was restored from kept results, without weights, has no folder.
        tags = ("transfer.fingerprint", "hydra.output_dir")
        conditions = ["attributes.status = 'FINISHED'", *(f"tags.`{tag}` != ''" for tag in tags)]
        found = _search(client, " and ".join(conditions), limit=1)
        if not found:
            raise ConfigError(key, given, "the store has no finished run yet")
        return found[0]
    try:
        record = _record(client.get_run(choice))
    except MlflowException as error:
        raise ConfigError(key, given, "the store has no run of this id") from error
    if "transfer.fingerprint" not in record.tags:
        raise ConfigError(key, given, "this is a sweep; give the id of one of its runs")
    if not record.finished:
        raise ConfigError(key, given, f"this run is {record.status}, so it has no weights")
    return record


def fetch_weights(
    client: MlflowClient, run: RunRecord, folder: Path, *, key: str, value: str
) -> Path:
    """The weights of a run, as `fetch_artifact`.

    Args:
        key, value: what the user wrote, for the message.

    Raises:
        ConfigError: it has none.
    """
    name = "weights.safetensors"
    if name not in {each.path for each in client.list_artifacts(run.id)}:
        problem = "the store has this run without its weights, as runs that were kept and restored"
        raise ConfigError(key, value, f"{problem}; take another, or train it again")
    return fetch_artifact(client, run, name, folder)


def fetch_artifact(client: MlflowClient, run: RunRecord, name: str, folder: Path) -> Path:
    """One artifact of a run: where it lies if that is on this machine, else a copy in `folder`."""
    from mlflow.artifacts import download_artifacts

    local = run.artifacts.startswith(("file:", "/"))
    path = download_artifacts(
        artifact_uri=f"{run.artifacts}/{name}",
        dst_path=None if local else str(folder),
        tracking_uri=client.tracking_uri,
    )
    return Path(path)


def _search(client: MlflowClient, condition: str, limit: int | None = None) -> list[RunRecord]:
    """Runs that fit, newest first."""
    records: list[RunRecord] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id(client)],
            filter_string=condition,
            order_by=["attributes.start_time DESC"],
            max_results=limit or _PAGE,
            page_token=token,
        )
        records += [_record(run) for run in page]
        token = page.token
        if not token or limit:
            return records


def _record(run: Run) -> RunRecord:
    return RunRecord(
        id=run.info.run_id,
        name=run.info.run_name,
        status=run.info.status,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=dict(run.data.tags),
        artifacts=run.info.artifact_uri,
    )
