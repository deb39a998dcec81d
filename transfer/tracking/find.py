"""Finding sweeps and runs again, from MLflow alone."""

import json
import logging
import tempfile
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from transfer.system.errors import ConfigError
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client, experiment_id

log = logging.getLogger(__name__)

_PAGE = 1000
# MLflow gives no more in one answer.
_MOST_AT_ONCE = 50_000
# A sweep's tag: the names of the folders of all commands that went on with it.
RESUMED_AS = "transfer.resumed_as"
# A run's tag: the id of the one that kept its weights in its place, by `tracking.weights=best`.
SURPASSED_BY = "transfer.surpassed_by"
# Of a run whose weights another sweep counts on: the one that asked last.
KEPT_FOR = "transfer.kept_for"


def find_sweep_run(client: Client, choice: str) -> RunRecord:
    """The parent run of a sweep.

    Args:
        choice: "latest", a sweep's folder such as 2026-11-24/12-00-00, or a parent's run id.

    Raises:
        ConfigError: there is no such sweep.
    """
    is_sweep = "tags.`transfer.kind` = 'sweep'"
    name = choice.replace("'", "")
    if choice == "latest":
        found = _newest(client, is_sweep)
    else:
        found = (
            _newest(client, f"{is_sweep} and tags.`transfer.sweep` = '{name}'")
            # Asked for by its id, it may be one that was deleted.
            or _newest(client, f"{is_sweep} and attributes.run_id = '{name}'", deleted_too=True)
            or _find_resumed(client, f"{is_sweep} and tags.`{RESUMED_AS}` LIKE '%{name}%'", name)
        )
    if found is None:
        problem = "no such sweep; give latest, <date>/<time> as below multirun/, or a run id"
        if choice == "latest":
            problem = "the store has no sweep yet; sweep=all takes single runs"
        raise ConfigError("sweep", choice, problem)
    return found


def _find_resumed(client: Client, condition: str, name: str) -> RunRecord | None:
    # LIKE lets % and _ in the name, or a longer name, find too much.
    found = _search(client, condition)
    return next((run for run in found if name in run.tags[RESUMED_AS].split()), None)


def find_sweep_of_jobs(client: Client, digest: str) -> RunRecord | None:
    """The latest sweep of exactly these jobs, by the digest of their fingerprints."""
    return _newest(client, f"tags.`transfer.jobs_digest` = '{digest}'")


def find_sweep_of_words(client: Client, digest: str) -> RunRecord | None:
    """The latest sweep that was asked for in these words, by their digest."""
    return _newest(client, f"tags.`transfer.words_digest` = '{digest}'")


def find_job_runs(client: Client) -> list[RunRecord]:
    """Every run of a job, of any sweep or of none, oldest first."""
    return _search(client, "tags.`transfer.fingerprint` != ''")[::-1]


def find_sweep_jobs(client: Client, sweep: RunRecord) -> list[RunRecord]:
    """The runs of a sweep: its own, oldest first, and those that earlier sweeps had begun.

    A job that never started is listed too, without an id and as NOT STARTED, and one whose run was
    deleted in the store as DELETED. The tag
    `transfer.overrides`, which the store does not have, says what the sweep asked of each.
    """
    planned = find_planned_jobs(client, sweep)
    runs = _search(client, f"tags.`mlflow.parentRunId` = '{sweep.id}'")[::-1]
    own = {run.tags["transfer.fingerprint"] for run in runs}
    for fingerprint, job in planned.items():
        if fingerprint in own:
            continue
        others = find_by_fingerprint(client, fingerprint)
        finished = [run for run in others if run.finished]
        tags = {"transfer.fingerprint": fingerprint}
        if not others:
            gone = _deleted_job(client, sweep, fingerprint)
            status = "DELETED" if gone else "NOT STARTED"
            others = [RunRecord(gone, job["name"], status, {}, {}, tags)]
        runs.append(next(iter(finished or others)))
    asked = {key: {"transfer.overrides": job["overrides"]} for key, job in planned.items()}
    return [
        replace(run, tags=run.tags | asked.get(run.tags["transfer.fingerprint"], {}))
        for run in runs
    ]


def find_planned_jobs(client: Client, sweep: RunRecord) -> dict[str, dict[str, str]]:
    """The name and the overrides of each job that a sweep lists, by its fingerprint; none where
    the sweeper chooses them as it goes."""
    with tempfile.TemporaryDirectory() as folder:
        listed = fetch_artifact(client, sweep, "jobs.json", Path(folder)).read_text()
    return {job["fingerprint"]: job for job in json.loads(listed)["jobs"]}


def _deleted_job(client: Client, sweep: RunRecord, fingerprint: str) -> str:
    """The id of the deleted run of a sweep's job; empty where it has none."""
    own = f"tags.`mlflow.parentRunId` = '{sweep.id}'"
    condition = f"{own} and tags.`transfer.fingerprint` = '{fingerprint}'"
    found = _newest(client, condition, deleted_too=True)
    return found.id if found else ""


def find_by_fingerprint(client: Client, fingerprint: str) -> list[RunRecord]:
    """Every run of one result, whatever its state, newest first."""
    return _search(client, f"tags.`transfer.fingerprint` = '{fingerprint}'")


def find_all_of(client: Client, jobs: int) -> dict[str, list[RunRecord]] | None:
    """Every run of a job by its fingerprint, newest first, for whoever looks for those of so many
    jobs: at once, where the store has at most twice as many; None where it has more, for then to
    look for each is quicker."""
    most = min(2 * jobs, _MOST_AT_ONCE - 1)
    found = _search(client, "tags.`transfer.fingerprint` != ''", limit=most + 1)
    if len(found) > most:
        return None
    runs = defaultdict[str, list[RunRecord]](list)
    for run in found:
        runs[run.tags["transfer.fingerprint"]].append(run)
    return runs


def find_named(client: Client, name: str) -> list[RunRecord]:
    """The newest runs of a name, a hundred at most."""
    return _search(client, f"attributes.run_name = '{name}'", limit=100)


def find_tagged(client: Client, tags: dict[str, str]) -> list[RunRecord]:
    """Every finished run with these tags, newest first."""
    conditions = [f"tags.`{name}` = '{value}'" for name, value in tags.items()]
    return _search(client, " and ".join(["attributes.status = 'FINISHED'", *conditions]))


def find_similar(client: Client, params: dict[str, str]) -> RunRecord | None:
    """The newest finished run with these parameters."""
    conditions = [f"params.`{name}` = '{value}'" for name, value in params.items()]
    return _newest(client, " and ".join(["attributes.status = 'FINISHED'", *conditions]))


def find_job_run(
    client: Client, choice: str, *, key: str = "run", value: str | None = None
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
        found = _newest(client, " and ".join(conditions))
        if found is None:
            raise ConfigError(key, given, "the store has no finished run yet")
        if SURPASSED_BY in found.tags:
            found = last_in_place_of(client, found)
            log.warning("%s=latest: %s (%s) kept its sweep's weights", key, found.id, found.name)
        return found
    try:
        record = RunRecord.of(client.get_run(choice))
    except MlflowException as error:
        raise ConfigError(key, given, "the store has no run of this id") from error
    if "transfer.fingerprint" not in record.tags:
        kind = record.tags.get("transfer.kind", "sweep")
        raise ConfigError(key, given, f"this is a {kind}; give the id of a job's run")
    if not record.finished:
        raise ConfigError(key, given, f"this run is {record.state}, so it has no weights")
    return record


def last_in_place_of(client: Client, run: RunRecord) -> RunRecord:
    """The run that kept its weights where this one lost them; itself where it did not. A sweep that
    went on may have found a better one than the first that did."""
    from mlflow.exceptions import MlflowException

    seen = set[str]()
    while (best := run.tags.get(SURPASSED_BY)) and best not in seen:
        seen.add(best)
        # Whoever empties the store for good may have taken that one.
        with suppress(MlflowException):
            run = RunRecord.of(client.get_run(best))
    return run


def _newest(client: Client, condition: str, *, deleted_too: bool = False) -> RunRecord | None:
    found = _search(client, condition, limit=1, deleted_too=deleted_too)
    return next(iter(found), None)


def _search(
    client: Client, condition: str, limit: int | None = None, *, deleted_too: bool = False
) -> list[RunRecord]:
    """Runs that fit, newest first."""
    from mlflow.entities import ViewType

    records: list[RunRecord] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id(client)],
            filter_string=condition,
            run_view_type=ViewType.ALL if deleted_too else ViewType.ACTIVE_ONLY,
            order_by=["attributes.start_time DESC"],
            max_results=limit or _PAGE,
            page_token=token,
        )
        records += [RunRecord.of(run) for run in page]
        token = page.token
        if not token or limit:
            return records
