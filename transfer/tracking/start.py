"""A job's run, from its first line in the store to its last, whatever happens between."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from transfer.config import flatten
from transfer.job import Job
from transfer.system.device import device_name
from transfer.system.disk import writing
from transfer.system.errors import ConfigError, without_password
from transfer.system.interrupt import deferred
from transfer.system.lock import Lock, LockedError
from transfer.system.markdown import escape_markdown
from transfer.tracking.delivery import deliver, delivery_command, note_undelivered
from transfer.tracking.dropped import PAST_TAGS
from transfer.tracking.environment import environment_tags
from transfer.tracking.find import find_by_fingerprint
from transfer.tracking.job_run import JobRun
from transfer.tracking.kept_weights import has_weights, keep_for
from transfer.tracking.near_run import why_anew
from transfer.tracking.previous_run import (
    PreviousRun,
    find_own_run,
    find_previous_run,
    lock_of,
    process_tags,
    working,
)
from transfer.tracking.run_record import DEVICE_TAG, PAUSED, RunRecord
from transfer.tracking.run_state import RunState, is_in_store
from transfer.tracking.standing import Standing, read_standing
from transfer.tracking.store import Client, answering, open_store, store_uri
from transfer.tracking.stored_run import create_run
from transfer.tracking.sweep_run import SweepRun

log = logging.getLogger(__name__)

# A worker whose sweep was killed finishes its batch first, and saves.
_PATIENCE_S = 5.0


def find_finished(job: Job, sweep: SweepRun | None) -> RunRecord | None:
    """The finished run of the same fingerprint, if there is one; all of it is in the store then.

    Raises:
        ConfigError: the store does not take what it lacks.
    """
    client = _open_store(job, sweep)
    former = find_previous_run(client, job.fingerprint)
    wanted = job.config.tracking.weights == "all" and former.in_store
    if wanted and former.record is not None and not has_weights(client, former.record):
        log.warning("%s has no weights; without resume=true it is trained again", job.name)
    if former.state == "finished" and former.record is not None and former.in_store:
        of = former.record.tags.get("mlflow.parentRunId")
        if sweep is not None and of != sweep.run_id and job.config.tracking.weights != "none":
            keep_for(client, former.record, sweep.run_id)
    if former.state != "finished" or former.in_store or former.folder is None:
        return former.record if former.state == "finished" else None
    try:
        deliver(former.folder, job.config.tracking.patience_s, client)
    except ConfigError as error:
        # What the store refuses for good does not keep it from knowing that the run finished.
        if not find_previous_run(client, job.fingerprint).in_store:
            raise
        log.warning(error)
    return find_previous_run(client, job.fingerprint).record


def find_repeated(job: Job, sweep: SweepRun) -> RunRecord | None:
    """The run in which this very sweep has finished the same job, if there is one: a sweeper that
    chooses as it goes may choose the same again.

    Raises:
        ConfigError: the store cannot be used.
    """
    client = _open_store(job, sweep)
    with answering(client.tracking_uri, "read"):
        others = find_by_fingerprint(client, job.fingerprint)
    own = (each for each in others if each.tags.get("mlflow.parentRunId") == sweep.run_id)
    return next((each for each in own if each.finished), None)


@contextmanager
def start_run(job: Job, folder: Path, sweep: SweepRun | None) -> Iterator[JobRun]:
    """Open a run for `job`, or with `resume` the interrupted one of its fingerprint.

    It ends FINISHED or PAUSED, or FAILED or KILLED with the error as a tag. Where the store does
    not learn all of it in time, a note in `folder` says so, and how to deliver the rest.

    Args:
        folder: Hydra's output folder of the job; a run that goes on keeps its own, if it is here.
        sweep: the sweep that the job is part of.

    Raises:
        ConfigError: another process is working on the run, or the store cannot be used.
    """
    client = _open_store(job, sweep)
    with answering(client.tracking_uri, "used"):
        former, lock = _take(client, job, folder, sweep)
        if job.config.resume and former.record is None:
            # A sweep that goes on has many a job that is new; alone, it is not what was meant.
            known = f"called {job.name} on {job.config.data.name}"
            unknown = f"resume=true: the store has no run {known}: it begins anew"
            why = why_anew(client, job.name, params_of(job), sweep)
            if why or sweep is None:
                log.info(why or unknown)
    own = former.folder or folder
    run: JobRun | None = None
    try:
        try:
            # A signal between the run's first line in the store and its last must find it here.
            with deferred():
                run = _open_run(client, job, own, sweep, former.record)
            yield run
        except BaseException as error:
            if run is not None:
                with deferred():
                    run.end("FAILED" if isinstance(error, Exception) else "KILLED", error)
            raise
        with deferred():
            run.end(PAUSED if run.paused else "FINISHED")
    finally:
        if run is not None and run.undelivered:
            note_undelivered(folder, own, run.undelivered)
        lock.release()


def find_standing(job: Job, folder: Path, sweep: SweepRun | None) -> Standing | None:
    """How the job's run stood after the epoch where it is to pause, if it has been there.

    Args:
        folder: Hydra's output folder of the job.

    Raises:
        ConfigError: the store cannot be used.
    """
    if job.config.stop_after is None:
        return None
    former = _former(_open_store(job, sweep), job, folder, sweep)
    if former.record is None or former.folder is None or former.state == "running":
        return None
    return read_standing(former.folder, job.config.stop_after, former.record.id)


def _former(client: Client, job: Job, folder: Path, sweep: SweepRun | None) -> PreviousRun:
    """The run that the job goes on with: with `resume` any, else what it left in this sweep."""
    if job.config.resume:
        return find_previous_run(client, job.fingerprint)
    if sweep is None:
        return PreviousRun("new")
    return find_own_run(client, job.fingerprint, folder, sweep.run_id)


def _open_store(job: Job, sweep: SweepRun | None) -> Client:
    """In a sweep, whose store was there at its start, a job waits for a server that restarts."""
    tracking = job.config.tracking
    return open_store(store_uri(tracking.uri), tracking.patience_s if sweep else 0)


def _take(
    client: Client, job: Job, folder: Path, sweep: SweepRun | None
) -> tuple[PreviousRun, Lock]:
    """The run to go on with, or a new one, and the lock of its folder, acquired.

    Raises:
        ConfigError: another process works on the run, or in the folder of a new one.
    """

    end = time.monotonic() + _PATIENCE_S
    while True:
        former = _former(client, job, folder, sweep)
        if former.state == "finished":
            problem = f"another process has just finished {job.name}; the same command skips it"
            raise ConfigError("resume", "true", problem)
        lock = lock_of(former.folder or folder)
        if former.state != "running":
            with suppress(LockedError):
                lock.acquire()
                # Another process may have had the run between the look and the lock.
                if _former(client, job, folder, sweep).record == former.record:
                    return former, lock
                lock.release()
        if time.monotonic() > end:
            break
        time.sleep(0.5)
    if former.record is None:
        problem = "another process is writing there; choose another folder, or wait for it"
        raise ConfigError("hydra.run.dir", folder, problem)
    problem = (
        f"{working(former.record)} is working on {job.name}; wait for it, or if it is known to be "
        f"dead: mlflow runs delete --run-id {former.record.id}"
    )
    raise ConfigError("resume", "true", problem)


def _open_run(
    client: Client, job: Job, folder: Path, sweep: SweepRun | None, record: RunRecord | None
) -> JobRun:
    """A new run, or the former one; either is told everything, and lacks nothing then."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    kept = RunState.load(folder)
    if record is None or (kept is not None and kept.run_id != record.id):
        # Hydra may be told to use a folder again: the new run's files would replace the old one's.
        if not is_in_store(folder):
            problem = "holds what an earlier run has not delivered yet; first:"
            raise ConfigError("hydra.run.dir", folder, f"{problem} {delivery_command([folder])}")
        kept = None
    with answering(client.tracking_uri, "written"):
        if record is None:
            tags = _tags(job, folder, sweep)
            state = RunState(folder, job.name, tags, params=params_of(job), data_set=_data_set(job))
            create_run(client, state)
            state.write()
        else:
            state = _go_on(client, job, folder, record, kept)
    run = JobRun(client, state, job.iterations, patience_s=job.config.tracking.patience_s)
    if job.data.skipped:
        run.log_text("skipped_images.txt", "\n".join([*job.data.skipped, ""]))
    return run


def _go_on(
    client: Client, job: Job, folder: Path, record: RunRecord, kept: RunState | None
) -> RunState:
    """The state of a run that goes on: as its folder has it, or anew where that is lost."""
    state = kept or RunState(folder, job.name, {}, run_id=record.id, data_set=_data_set(job))
    past = dict.fromkeys(("transfer.error", "transfer.traceback", *PAST_TAGS))
    # The folder is another one where the run's own is gone.
    here = {"hydra.output_dir": str(folder), DEVICE_TAG: device_name(job.device), **process_tags()}
    state.write(
        uri=client.tracking_uri,
        tags=state.tags | past | here,
        # What was first told holds: where the images lie may have changed since.
        params=params_of(job) | record.params | state.params,
        status="RUNNING",
        end_time=None,
    )
    client.update_run(record.id, status="RUNNING")
    return state


def _tags(job: Job, folder: Path, sweep: SweepRun | None) -> dict[str, str | None]:
    """Those of a new run."""
    parent = {"transfer.sweep": sweep.name, "mlflow.parentRunId": sweep.run_id} if sweep else {}
    return {
        **environment_tags(),
        **process_tags(),
        "transfer.fingerprint": job.fingerprint,
        "transfer.configuration": job.configuration,
        "hydra.output_dir": str(folder),
        DEVICE_TAG: device_name(job.device),
        # The run's description on MLflow's pages, in Markdown.
        "mlflow.note.content": "  \n".join(map(escape_markdown, str(job).splitlines())),
        **parent,
    }


def params_of(job: Job) -> dict[str, str]:
    """What the run of a job has as its parameters."""
    choices = flatten(job.config)
    # How a run was started is no property of its result.
    for name in ("resume", "preview", "stop_after", "budget", "deploy", "deploy_rows"):
        del choices[name]
    values = choices | {
        "data.digest": job.data.digest,
        "data.files_digest": job.data.files_digest,
        "data.classes": len(job.data.classes),
        "data.test_images": len(job.data.test),
        "data.test_digest": job.data.test_digest,
        "data.pool_digest": job.data.pool_digest,
        "data.train_images": len(job.data.train),
        "data.skipped_images": len(job.data.skipped),
        "data.shared_images": job.data.shared_images,
        "threads": torch.get_num_threads(),
        "weights.digest": job.weights.digest,
        "weights.loaded": len(job.fit.loaded),
        "weights.left_out": " ".join(job.fit.left_out) or None,
        **job.normalization.params(),
    }
    texts = {name: "null" if value is None else str(value) for name, value in values.items()}
    return {name: without_password(text) for name, text in texts.items()}


def _data_set(job: Job) -> dict[str, str]:
    """The fields of MLflow's Dataset."""
    data = job.data
    sizes = {"train": len(data.train), "validation": len(data.val), "test": len(data.test)}
    return {
        "name": data.name,
        "digest": data.digest,
        "source_type": "local",
        "source": json.dumps({"root": job.config.data.root}),
        "profile": json.dumps(sizes),
    }
