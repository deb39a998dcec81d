"""The table of runs that a command would make: what is done, what is left, how long it may take."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from tabulate import tabulate

from transfer.config import Config
from transfer.config.weights import entry_named
from transfer.job import Job, prepare
from transfer.tracking.find import find_similar
from transfer.tracking.near_run import why_anew
from transfer.tracking.previous_run import PreviousRun, find_previous_run
from transfer.tracking.run_weights import fetch_run_weights
from transfer.tracking.start import params_of
from transfer.tracking.store import Client
from transfer.training.checkpoint import Checkpoints

_HEADERS = ("run", "with resume=true", "epochs left", "parameters", "MACs", "estimate")
_TO_DO = {
    "new": "train",
    "finished": "skip: finished",
    "interrupted": "go on",
    "failed": "retry",
    "running": "refuse: another process trains it",
}


def preview(client: Client, jobs: Sequence[tuple[Config, Sequence[str]]]) -> NoReturn:
    """Print what `resume=true` would do for each configuration, and end the process; trains nothing
    and makes no run.

    Args:
        jobs: each configuration with the overrides that were typed for it.

    Raises:
        ConfigError: one of them cannot run.
    """
    rows, epochs_left, estimates = [], 0, []
    names, seen, notes = list[str](), set[str](), list[str]()
    for config, overrides in jobs:
        with entry_named(config.model.name, overrides):
            job = prepare(config, weights=fetch_run_weights(config))
        former = find_previous_run(client, job.fingerprint)
        epochs = _epochs_left(job, former)
        each = _seconds_an_epoch(client, job)
        todo = _TO_DO[former.state]
        if job.fingerprint in seen:
            todo, epochs = "leave out: as one above", 0
        elif former.record is None and config.resume:
            notes.append(why_anew(client, job.name, params_of(job)))
        seen.add(job.fingerprint)
        size = (f"{job.parameters / 1e6:.2f} M", f"{job.macs / 1e6:.1f} M")
        estimate = "unknown" if each is None else _duration(epochs * each)
        names.append(job.name)
        rows.append([todo, epochs, *size, estimate])
        epochs_left += epochs
        estimates += [] if each is None else [epochs * each]
    total = f"total: {epochs_left} epochs left"
    if estimates:
        total += f", about {_duration(sum(estimates))} for the runs with an estimate"
    told = _told_apart(names, [overrides for _, overrides in jobs])
    lines = [[name, *row] for name, row in zip(told, rows, strict=True)]
    table = tabulate(lines, _HEADERS, disable_numparse=True)
    print("\n".join([table, "", *filter(None, notes), total]))
    sys.exit(0)


def _told_apart(names: Sequence[str], overrides: Sequence[Sequence[str]]) -> list[str]:
    """Names of runs, with what was typed for one where another is called the same."""
    alike = dict[str, list[set[str]]]()
    for name, typed in zip(names, overrides, strict=True):
        alike.setdefault(name, []).append(set(typed))
    shared = {name: set.intersection(*typed) for name, typed in alike.items()}
    return [
        " ".join([name, *(each for each in typed if each not in shared[name])])
        for name, typed in zip(names, overrides, strict=True)
    ]


def _epochs_left(job: Job, former: PreviousRun) -> int:
    if former.state == "finished":
        return 0
    done = 0
    if former.record is not None and former.folder is not None:
        done = Checkpoints(former.folder, former.record.id).epochs_done()
    return job.config.epochs - done


def _seconds_an_epoch(client: Client, job: Job) -> float | None:
    """An estimate from the latest run that trained the same part of the model on the same images;
    None where there is none."""
    params = {
        "model.name": job.config.model.name,
        "data.digest": job.data.digest,
        "image_size": str(job.config.image_size),
        "tune": job.config.tune,
        "frozen_features": job.config.frozen_features,
    }
    similar = find_similar(client, params)
    if similar is None:
        return None
    return len(job.data.train) / similar.metrics["throughput/train_img_s"]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
