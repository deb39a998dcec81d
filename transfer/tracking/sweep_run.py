"""A sweep's parent run, and how its jobs find it from any process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transfer.tracking.environment import environment_tags
from transfer.tracking.store import experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient

_FILE_NAME = "sweep.json"


@dataclass(frozen=True)
class SweepRun:
    """The parent run of a sweep.

    Attributes:
        name: the sweep's folder below multirun/, such as 2026-11-24/12-00-00.
        run_id: of the parent run.
    """

    name: str
    run_id: str


def open_sweep(client: MlflowClient, folder: Path, overrides: list[str], jobs: int) -> SweepRun:
    """Create the parent run, and leave a note of it in the sweep's folder for the jobs."""
    name = f"{folder.parent.name}/{folder.name}"
    tags = {
        **environment_tags(),
        "transfer.sweep": name,
        "transfer.kind": "sweep",
        "transfer.jobs": str(jobs),
        "hydra.output_dir": str(folder),
    }
    title = " ".join(overrides)[:200] or name
    run = client.create_run(experiment_id(client), run_name=title, tags=tags)
    sweep = SweepRun(name, run.info.run_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _FILE_NAME).write_text(json.dumps(asdict(sweep)))
    return sweep


def find_sweep(folder: Path) -> SweepRun | None:
    """The sweep whose folder this is; None where no sweep was opened there."""
    note = folder / _FILE_NAME
    return SweepRun(**json.loads(note.read_text())) if note.is_file() else None
