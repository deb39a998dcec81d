"""The table of runs that a command would make: what is done, what is left, how long it may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabulate import tabulate

from transfer.config import Config
from transfer.job import Job, prepare
from transfer.tracking.find import find_similar
from transfer.tracking.previous_run import State, find_previous_run
from transfer.tracking.run_weights import fetch_run_weights
from transfer.training.checkpoint import Checkpoints

if TYPE_CHECKING:
    from mlflow import MlflowClient

_TO_DO = {
    "new": "train",
    "finished": "skip: finished",
    "interrupted": "go on",
    "failed": "retry",
    "running": "refuse: another process trains it",
}


@dataclass(frozen=True)
class Preview:
    """One job as `resume=true` would treat it.

    Attributes:
        epochs_left: of training.
        macs: multiply-accumulates of one image.
        seconds: estimate for them, from former runs of the model on the same images; None
            where there are none.
    """

    name: str
    state: State
    epochs_left: int
    parameters: int
    macs: int
    seconds: float | None


def preview(client: MlflowClient, configs: Sequence[Config]) -> None:
    """Print what would be done for each configuration; trains nothing and makes no run.

    Raises:
        ConfigError: one of them cannot run.
    """
    print(
        preview_table(
            [
                preview_job(client, prepare(config, weights=fetch_run_weights(config)))
                for config in configs
            ]
        )
    )


def preview_job(client: MlflowClient, job: Job) -> Preview:
    """What the store knows of a job, and what is left of it."""
    former = find_previous_run(client, job.fingerprint)
    epochs = job.config.epochs
    if former.state == "finished":
        left = 0
    elif former.record is not None and former.folder is not None:
        left = epochs - Checkpoints(former.folder, former.record.id).epochs_done()
    else:
        left = epochs
    each = _seconds_an_epoch(client, job)
    return Preview(
        name=job.name,
        state=former.state,
        epochs_left=left,
        parameters=job.parameters,
        macs=job.macs,
        seconds=None if each is None else left * each,
    )


def preview_table(previews: Sequence[Preview]) -> str:
    """The jobs as aligned text, with the sum of what is left."""
    rows = [
        [
            each.name,
            _TO_DO[each.state],
            each.epochs_left,
            f"{each.parameters / 1e6:.2f} M",
            f"{each.macs / 1e6:.1f} M",
            _duration(each.seconds),
        ]
        for each in previews
    ]
    headers = ["run", "with resume=true", "epochs left", "parameters", "MACs", "estimate"]
    table = tabulate(rows, headers, tablefmt="simple", disable_numparse=True)
    known = [each.seconds for each in previews if each.seconds is not None]
    total = f"total: {sum(each.epochs_left for each in previews)} epochs left"
    if known:
        total += f", about {_duration(sum(known))} for the runs with an estimate"
    return f"{table}\n\n{total}"


def _seconds_an_epoch(client: MlflowClient, job: Job) -> float | None:
    params = {
        "model.name": job.config.model.name,
        "data.digest": job.data.digest,
        "image_size": str(job.config.image_size),
    }
    former = find_similar(client, params)
    if former is None:
        return None
    return len(job.data.train) / former.metrics["throughput/train_img_s"]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
