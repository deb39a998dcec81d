"""A sweep's parent run, and how its jobs find it from any process."""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from transfer.system.errors import ConfigError, without_password
from transfer.system.lock import LockedError
from transfer.tracking.environment import environment_tags
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.find import (
    RESUMED_AS,
    find_sweep_jobs,
    find_sweep_of_jobs,
    find_sweep_of_words,
    find_sweep_run,
)
from transfer.tracking.previous_run import (
    folder_of,
    is_running,
    lock_of,
    process_tags,
    working,
)
from transfer.tracking.store import Client, answering, experiment_id

_NONE: Mapping[str, str] = MappingProxyType({})
_WEIGHTS = "weights.json"
# Of a sweep that had one, as it was typed, and how many jobs it was too short for.
BUDGET_TAG = "transfer.budget"
# Of a sweep that chose: how many jobs of its finalists were launched with further seeds.
FURTHER_SEEDS_TAG = "transfer.further_seeds"
# Of a sweep that repeats only its best: how many further replicates of the others it never began.
NOT_REPEATED_TAG = "transfer.not_repeated"
# Likewise: how many jobs it has trained after its race; and what it would have tried next, with the
# time that takes, where there was none for it.
TRIES_TAG = "transfer.tries"
# Likewise: its candidates that its screen has dropped, and others of which nothing was trained.
UNTRAINED_TAG, HOPELESS_TAG = "transfer.untrained", "transfer.hopeless"
_CIRCUMSTANCES = ("resume=", "preview=", "budget=", "deploy", "device=", "tracking.")


@dataclass(frozen=True)
class SweepRun:
    """The parent run of a sweep.

    Attributes:
        name: the sweep's folder below multirun/, such as 2026-11-24/12-00-00.
        run_id: of the parent run.
    """

    name: str
    run_id: str


@dataclass(frozen=True)
class PlannedJob:
    """A job of a sweep before it runs; a sweep's run keeps the list of them as jobs.json.

    Attributes:
        name: as its run will be named.
        overrides: what distinguishes it on the command line.
        fingerprint: finds its run, of this sweep or of an earlier one.
    """

    name: str
    overrides: str
    fingerprint: str


def open_sweep(
    client: Client,
    folder: Path,
    overrides: Sequence[str],
    jobs: Sequence[PlannedJob],
    *,
    resume: bool,
    weights: Mapping[str, str] = _NONE,
) -> SweepRun:
    """Create the parent run, or take over that of the same jobs.

    Args:
        folder: of this sweep, and locked.
        overrides: the command line's.
        jobs: all of them; none where the sweeper chooses them as it goes.
        weights: what `weights=auto` came to, by the name of the model.

    Raises:
        ConfigError: another process is running the same sweep, or the store cannot be written.
    """
    digest = _asked(overrides, jobs)
    sweep = _take_over(client, folder, digest) if resume else None
    if sweep is None:
        sweep = _create(client, folder, overrides, digest)
    list_jobs(client, sweep, jobs)
    if weights:
        with answering(client.tracking_uri, "written"):
            client.log_text(sweep.run_id, json.dumps(dict(weights)), _WEIGHTS)
    return sweep


def list_jobs(client: Client, sweep: SweepRun, jobs: Sequence[PlannedJob]) -> None:
    """Say in the store which jobs a sweep has.

    Raises:
        ConfigError: the store cannot be written.
    """
    listed = json.dumps({"jobs": [asdict(job) for job in jobs]}, indent=2)
    with answering(client.tracking_uri, "written"):
        client.log_text(sweep.run_id, without_password(listed), "jobs.json")


def find_former_folder(
    client: Client, overrides: Sequence[str], jobs: Sequence[PlannedJob]
) -> Path | None:
    """The folder of the latest command of a sweep that another one would go on with.

    Args:
        overrides, jobs: as of `open_sweep`.
    """
    former = find_sweep_of_jobs(client, _asked(overrides, jobs))
    return None if former is None else folder_of(former)


def find_folder_of_words(client: Client, overrides: Sequence[str]) -> Path | None:
    """The folder of the latest command in these words, for a sweep whose jobs follow from what an
    earlier command of it has found."""
    former = find_sweep_of_words(client, words_digest(overrides))
    return None if former is None else folder_of(former)


def find_auto_weights(client: Client, overrides: Sequence[str]) -> dict[str, str]:
    """What `weights=auto` came to in the latest sweep of the same command, by the name of the
    model; nothing where there is none, or it does not say."""
    former = find_sweep_of_words(client, words_digest(overrides))
    if former is None or _WEIGHTS not in {each.path for each in client.list_artifacts(former.id)}:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        found = json.loads(fetch_artifact(client, former, _WEIGHTS, Path(folder)).read_text())
    return {str(model): str(source) for model, source in found.items()}


def budget_tags(budget: str, dropped: int, left_out: int, paused: int) -> dict[str, str]:
    """What a report has to know of the time that a sweep was given, and of the jobs that it was too
    short for: those that were dropped for that, never begun, and paused on the way."""
    counts = {"dropped": dropped, "left_out": left_out, "paused": paused}
    named = {f"{BUDGET_TAG}_{name}": str(count) for name, count in counts.items()}
    return {BUDGET_TAG: budget, **named}


def tries_tags(count: int, following: str, takes: str, budget: str) -> dict[str, str]:
    """What a report has to know of what a sweep that chose has tried after its race.

    Args:
        count: of its jobs that finished.
        following: what it would have tried next; empty where nothing was worth that.
        takes: how long, in words.
        budget: with which there would be time for that.
    """
    told = {"next": following, "takes": takes, "budget": budget}
    return {TRIES_TAG: str(count), **{f"{TRIES_TAG}_{name}": each for name, each in told.items()}}


def tag_sweep(client: Client, sweep: SweepRun, tags: Mapping[str, str]) -> None:
    """Give the parent run tags of its own.

    Raises:
        ConfigError: the store cannot be written.
    """
    with answering(client.tracking_uri, "written"):
        for name, value in tags.items():
            client.set_tag(sweep.run_id, name, value)


def end_sweep(client: Client, sweep: SweepRun, status: str) -> bool:
    """End the parent run, and mark as KILLED what a worker left RUNNING that was killed itself.

    Returns:
        False where it was deleted in the store meanwhile, which is let be.
    """
    if status != "FINISHED":
        _end_dead_runs(client, sweep)
    if client.get_run(sweep.run_id).info.lifecycle_stage == "deleted":
        return False
    client.set_terminated(sweep.run_id, status)
    return True


def _end_dead_runs(client: Client, sweep: SweepRun) -> None:
    parent = find_sweep_run(client, sweep.run_id)
    for run in find_sweep_jobs(client, parent):
        if run.status == "RUNNING" and not is_running(run):
            client.set_terminated(run.id, "KILLED")


def _create(client: Client, folder: Path, overrides: Sequence[str], digest: str) -> SweepRun:
    name = _name(folder)
    tags = {
        **environment_tags(),
        **process_tags(),
        "transfer.sweep": name,
        "transfer.kind": "sweep",
        "transfer.jobs_digest": digest,
        "transfer.words_digest": words_digest(overrides),
        "hydra.output_dir": str(folder),
    }
    title = without_password(" ".join(overrides))[:200] or name
    with answering(client.tracking_uri, "written"):
        run = client.create_run(experiment_id(client), run_name=title, tags=tags)
    return SweepRun(name, run.info.run_id)


def _take_over(client: Client, folder: Path, digest: str) -> SweepRun | None:
    """The parent run of an earlier sweep of the same jobs, if there is one.

    Raises:
        ConfigError: another process is running that sweep.
    """
    former = find_sweep_of_jobs(client, digest)
    if former is None:
        return None
    dead = f"if it is known to be dead: mlflow runs delete --run-id {former.id}"
    problem = f"{working(former)} is running this sweep; wait for it, or {dead}"
    refusal = ConfigError("resume", "true", problem)
    other = folder_of(former)
    if other is None and is_running(former):
        raise refusal
    try:
        with nullcontext() if other in (None, folder) else lock_of(other):
            # Of two that take it over at once, the second finds the folder of the first.
            again = find_sweep_of_jobs(client, digest)
            if again is None or folder_of(again) != other:
                raise refusal
            own = again.tags["transfer.sweep"]
            names = {own, *again.tags.get(RESUMED_AS, "").split(), _name(folder)}
            # The report goes to where the latest command writes, and is found by either's name.
            here = {"hydra.output_dir": str(folder), RESUMED_AS: " ".join(sorted(names))}
            for name, value in (process_tags() | here).items():
                client.set_tag(again.id, name, value)
            for name in again.tags:
                if name.startswith((BUDGET_TAG, NOT_REPEATED_TAG, TRIES_TAG, UNTRAINED_TAG)):
                    # What was not begun then may be done now.
                    client.delete_tag(again.id, name)
            client.update_run(again.id, status="RUNNING")
            return SweepRun(own, again.id)
    except LockedError as error:
        raise refusal from error


def _asked(overrides: Sequence[str], jobs: Sequence[PlannedJob]) -> str:
    """What makes two sweeps one; a sweeper that chooses as it goes is known by what was asked of
    it."""
    if not jobs:
        return words_digest(overrides)
    asked = "\n".join(sorted(job.fingerprint for job in jobs))
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def words_digest(overrides: Sequence[str]) -> str:
    """A digest of what was typed, without what is no part of a result."""
    meant = [each for each in overrides if not each.startswith(_CIRCUMSTANCES)]
    return hashlib.sha256("\n".join(sorted(meant)).encode()).hexdigest()[:16]


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"
