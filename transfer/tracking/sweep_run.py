"""A sweep's parent run, and how its jobs find it from any process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transfer.config import ConfigError
from transfer.tracking.environment import environment_tags, process_tags
from transfer.tracking.find import RunRecord, find_sweep_of_jobs
from transfer.tracking.former import is_locked
from transfer.tracking.store import answering, experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient

_NOTE = "sweep.json"


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
    client: MlflowClient,
    folder: Path,
    overrides: Sequence[str],
    jobs: Sequence[PlannedJob],
    *,
    resume: bool,
) -> SweepRun:
    """Create the parent run, or take over that of the same jobs; leaves a note for the jobs.

    Raises:
        ConfigError: another process is running the same sweep, or the store cannot be written.
    """
    digest = _digest(jobs)
    former = find_sweep_of_jobs(client, digest) if resume else None
    if former is None:
        sweep = _create(client, folder, overrides, digest)
    else:
        sweep = _take_over(client, folder, former)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _NOTE).write_text(json.dumps(asdict(sweep)))
    with answering(client.tracking_uri, "written"):
        client.log_dict(sweep.run_id, {"jobs": [asdict(job) for job in jobs]}, "jobs.json")
    return sweep


def find_sweep(folder: Path) -> SweepRun | None:
    """The sweep whose folder this is; None where no sweep was opened there."""
    note = folder / _NOTE
    return SweepRun(**json.loads(note.read_text())) if note.is_file() else None


def _create(client: MlflowClient, folder: Path, overrides: Sequence[str], digest: str) -> SweepRun:
    name = f"{folder.parent.name}/{folder.name}"
    tags = {
        **environment_tags(),
        **process_tags(),
        "transfer.sweep": name,
        "transfer.kind": "sweep",
        "transfer.jobs_digest": digest,
        "hydra.output_dir": str(folder),
    }
    title = " ".join(overrides)[:200] or name
    with answering(client.tracking_uri, "written"):
        run = client.create_run(experiment_id(client), run_name=title, tags=tags)
    return SweepRun(name, run.info.run_id)


def _take_over(client: MlflowClient, folder: Path, former: RunRecord) -> SweepRun:
    if former.status == "RUNNING" and is_locked(Path(former.tags["hydra.output_dir"])):
        process = f"process {former.tags['transfer.process']} on {former.tags['transfer.host']}"
        raise ConfigError("resume", "true", f"{process} is running this sweep; wait for it")
    # The report goes to where the latest command writes.
    for name, value in (process_tags() | {"hydra.output_dir": str(folder)}).items():
        client.set_tag(former.id, name, value)
    client.update_run(former.id, status="RUNNING")
    return SweepRun(former.tags["transfer.sweep"], former.id)


def _digest(jobs: Sequence[PlannedJob]) -> str:
    text = "\n".join(sorted(job.fingerprint for job in jobs))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
