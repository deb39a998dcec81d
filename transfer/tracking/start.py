"""A job's run, from its first line in the store to its last, whatever happens between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import Timeout

from transfer.config import ConfigError, flatten
from transfer.fit import Checkpoints
from transfer.job import Job
from transfer.tracking.environment import environment_tags, process_tags
from transfer.tracking.find import RunRecord
from transfer.tracking.former import Former, find_former, lock_of
from transfer.tracking.job_run import JobRun
from transfer.tracking.store import experiment_id, open_store, store_uri
from transfer.tracking.sweep_run import SweepRun

if TYPE_CHECKING:
    from mlflow import MlflowClient


def find_finished(job: Job) -> RunRecord | None:
    """The finished run of the same fingerprint, if there is one."""
    former = find_former(open_store(store_uri(job.config.tracking.uri)), job.fingerprint)
    if former.state != "finished":
        return None
    # A kill in the last moment leaves them behind. A restored run never had any here.
    if former.record is not None and "hydra.output_dir" in former.record.tags:
        Checkpoints(former.folder).remove()
    return former.record


@contextmanager
def start_run(job: Job, folder: Path, sweep: SweepRun | None) -> Iterator[JobRun]:
    """Open a run for `job`, or with `resume` the interrupted one of its fingerprint.

    It ends FINISHED, or FAILED or KILLED with the error as a tag.

    Args:
        folder: Hydra's output folder of the job; a run that goes on keeps its own.
        sweep: the sweep that the job is part of.

    Raises:
        ConfigError: another process is working on the run.
    """
    client = open_store(store_uri(job.config.tracking.uri))
    former = find_former(client, job.fingerprint) if job.config.resume else Former("new")
    if former.state == "running":
        problem = f"another process is working on {job.name}; wait for it"
        raise ConfigError("resume", "true", problem)
    with _alone_in(folder if former.record is None else former.folder):
        if former.record is None:
            run = JobRun(client, _create(client, job, folder, sweep), job.iterations, folder)
        else:
            run = _reopen(client, former, job.iterations)
        try:
            yield run
        except Exception as error:
            run.end("FAILED", error)
            raise
        except BaseException as error:
            run.end("KILLED", error)
            raise
        run.end("FINISHED")
        run.checkpoints.remove()


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    lock = lock_of(folder)
    try:
        lock.acquire()
    except Timeout as error:
        problem = f"another process is working in {folder}; wait for it"
        raise ConfigError("resume", "true", problem) from error
    try:
        yield
    finally:
        lock.release()


def _create(client: MlflowClient, job: Job, folder: Path, sweep: SweepRun | None) -> str:
    tags = {
        **environment_tags(),
        **process_tags(),
        "transfer.fingerprint": job.fingerprint,
        "transfer.configuration": job.configuration,
        "hydra.output_dir": str(folder),
        # The run's description on MLflow's pages, in Markdown.
        "mlflow.note.content": str(job).replace("\n", "  \n"),
    }
    if sweep is not None:
        tags |= {"transfer.sweep": sweep.name, "mlflow.parentRunId": sweep.run_id}
    created = client.create_run(experiment_id(client), run_name=job.name, tags=tags)
    _log_inputs(client, created.info.run_id, job)
    return str(created.info.run_id)


def _reopen(client: MlflowClient, former: Former, iterations: int) -> JobRun:
    assert former.record is not None
    run_id = former.record.id
    for name in ("transfer.error", "transfer.traceback"):
        if name in former.record.tags:
            client.delete_tag(run_id, name)
    for name, value in process_tags().items():
        client.set_tag(run_id, name, value)
    client.update_run(run_id, status="RUNNING")
    sent = {
        (name, metric.step)
        for name in former.record.metrics
        for metric in client.get_metric_history(run_id, name)
    }
    return JobRun(client, run_id, iterations, former.folder, frozenset(sent))


def _log_inputs(client: MlflowClient, run_id: str, job: Job) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param

    choices = flatten(job.config)
    # How a run was started is no property of its result.
    del choices["resume"], choices["preview"]
    values = choices | {
        "data.digest": job.data.digest,
        "data.classes": len(job.data.classes),
        "data.test_images": len(job.data.test),
        "data.test_digest": job.data.test_digest,
        "data.skipped_images": len(job.data.skipped),
        "threads": torch.get_num_threads(),
        "weights.digest": job.weights.digest,
        "weights.loaded": len(job.fit.loaded),
        "weights.left_out": " ".join(job.fit.left_out) or None,
    }
    params = [
        Param(name, "null" if value is None else str(value)) for name, value in values.items()
    ]
    client.log_batch(run_id, params=params)
    if job.data.skipped:
        client.log_text(run_id, "\n".join([*job.data.skipped, ""]), "skipped_images.txt")
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
