"""The table of runs that a command would make: what is done, what is left, how long it may take."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn

from tabulate import tabulate

from transfer.config.halving import Halving
from transfer.job import Job
from transfer.sweep import state
from transfer.sweep.compose import told_apart
from transfer.sweep.expected import duration, last_epoch
from transfer.sweep.former import kept_rule
from transfer.sweep.outcomes import read_outcomes
from transfer.sweep.race.replicates import recipe_of
from transfer.system.checkpoints import Checkpoints
from transfer.tracking.dropped import Dropped
from transfer.tracking.find import find_all_of, find_similar
from transfer.tracking.near_run import why_anew
from transfer.tracking.previous_run import PreviousRun, find_previous_run
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client, answering
from transfer.tracking.sweep_run import PlannedJob, find_former_folder

_HEADERS = ("run", "with resume=true", "epochs left", "parameters", "MACs", "estimate")
_TO_DO = {
    "new": "train",
    "finished": "skip: finished",
    "paused": "go on",
    "interrupted": "go on",
    "failed": "retry",
    "running": "refuse: another process trains it",
}

# How a replicate ended that was left out, and what the same job may be typed with or without.
_OUT = "not repeated"
_CIRCUMSTANCES = ("resume=", "preview=", "budget=")


@dataclass(frozen=True)
class _Found:
    """What the table says of a job.

    Attributes:
        epoch_s: seconds an epoch is likely to take; None where nobody knows.
        anew: the parameters of a job that was to go on, but has no run.
        dropped: by a sweep in rungs, when; empty where it was not, or only for want of time.
    """

    name: str
    fingerprint: str
    todo: str
    epochs_left: int
    epoch_s: float | None
    size: tuple[str, str]
    anew: dict[str, str] | None
    dropped: str


def preview(
    client: Client,
    jobs: Iterable[tuple[int, Job]],
    overrides: Sequence[Sequence[str]],
    halving: Halving | None = None,
    *,
    resume: bool = False,
) -> NoReturn:
    """Print what `resume=true` would do for each job, and end the process; trains nothing and makes
    no run.

    Args:
        jobs: with their numbers, by which the table is sorted; none of them is kept.
        overrides: what was typed for each.
        halving: the rungs of the sweep, if it has some.
        resume: whether it goes on with an earlier one.
    """

    @cache
    def seconds_an_image(*params: tuple[str, str]) -> float | None:
        similar = find_similar(client, dict(params))
        return None if similar is None else 1 / similar.metrics["throughput/train_img_s"]

    known = find_all_of(client, len(overrides))
    found = {number: _look(client, job, seconds_an_image, known) for number, job in jobs}
    unrepeated = set[int]()
    if halving is not None:
        names = {each.fingerprint: each.name for each in found.values()}
        listed = [PlannedJob(name, "", fingerprint) for fingerprint, name in names.items()]
        former = find_former_folder(client, (), listed)
        if former is not None and resume:
            halving = kept_rule(halving, state.read_halving(former)) or halving
        if halving.options.keep == "forecast":
            unrepeated = _unrepeated(found, overrides, former)
    first = {found[number].fingerprint: number for number in sorted(found, reverse=True)}
    left_out = _left_out(found, first, unrepeated, in_rungs=halving is not None)
    rows, total_left, estimates, notes = [], 0, [], list[str]()
    for number, each in sorted(found.items()):
        todo, epochs = each.todo, each.epochs_left
        if number in left_out:
            todo, epochs = f"leave out: {left_out[number]}", 0
        elif each.anew is not None:
            notes.append(why_anew(client, each.name, each.anew, planned=first.keys()))
        seconds = None if each.epoch_s is None else epochs * each.epoch_s
        rows.append([todo, epochs, *each.size, "unknown" if seconds is None else duration(seconds)])
        total_left += epochs
        estimates += [] if seconds is None else [seconds]
    if halving is not None:
        sizes = Counter(recipe_of(overrides[number]) for number in first.values())
        least, most = halving.least_and_most(list(sizes.values()))
        notes += [f"{halving}\nfrom the start, at least {least} and at most {most} epochs"]
    labels = told_apart([found[number].name for number in sorted(found)], overrides)
    lines = [[label, *row] for label, row in zip(labels, rows, strict=True)]
    table = tabulate(lines, _HEADERS, disable_numparse=True)
    print("\n".join([table, "", *filter(None, notes), _total(total_left, estimates)]))
    sys.exit(0)


def _total(epochs: int, estimates: Sequence[float]) -> str:
    """The last line of the table.

    Args:
        epochs: that are left.
        estimates: seconds of the runs of which they are known.
    """
    total = f"total: {epochs} epochs left"
    if estimates:
        total += f", about {duration(sum(estimates))} for the runs with an estimate"
    return total


def _left_out(
    found: Mapping[int, _Found],
    first: Mapping[str, int],
    unrepeated: Collection[int],
    *,
    in_rungs: bool,
) -> dict[int, str]:
    """Why jobs are not begun, by their numbers.

    Args:
        first: the first job of each fingerprint.
        unrepeated: the numbers of jobs whose configuration has lost.
    """
    reasons = dict[int, str]()
    for number, each in found.items():
        if first[each.fingerprint] != number:
            reasons[number] = "as one above"
        elif in_rungs and each.dropped:
            reasons[number] = each.dropped
        elif number in unrepeated:
            reasons[number] = "not among the best"
    return reasons


def _unrepeated(
    found: Mapping[int, _Found], overrides: Sequence[Sequence[str]], former: Path | None
) -> set[int]:
    """The numbers of the jobs that are not begun, for the first one of their configuration was
    dropped, or was not among the best that finished.

    Args:
        former: the folder of the command that is gone on with.
    """
    lost = {recipe_of(overrides[number]) for number, each in found.items() if each.dropped}
    ends = {} if former is None else read_outcomes(former)
    # By their words, for the same jobs may have been typed in another order.
    noted = [_asked(each.overrides.split()) for each in ends.values() if each.status == _OUT]
    return {
        number
        for number, each in found.items()
        if each.todo == _TO_DO["new"]
        and (recipe_of(overrides[number]) in lost or _asked(overrides[number]) in noted)
    }


def _asked(overrides: Sequence[str]) -> list[str]:
    """What was typed for a job, without what is no part of its result."""
    return sorted(each for each in overrides if not each.startswith(_CIRCUMSTANCES))


def _look(
    client: Client,
    job: Job,
    seconds_an_image: Callable[..., float | None],
    known: dict[str, list[RunRecord]] | None,
) -> _Found:
    former = find_previous_run(client, job.fingerprint, known)
    # An estimate from the latest run of its kind.
    each = seconds_an_image(*_alike(job).items())
    dropped = Dropped.of(former.record.tags) if former.record is not None else None
    params = None
    if former.record is None and job.config.resume:
        # With what logs a run, and pandas, which a preview mostly has no use for.
        from transfer.tracking.start import params_of

        params = params_of(job)
    behind = dropped is not None and dropped.why != "time" and former.state == "interrupted"
    return _Found(
        name=job.name,
        fingerprint=job.fingerprint,
        todo=_todo(former),
        epochs_left=_epochs_left(job, former),
        epoch_s=None if each is None else len(job.data.train) * each,
        size=(f"{job.parameters / 1e6:.2f} M", f"{job.macs / 1e6:.1f} M"),
        anew=params,
        dropped=f"dropped at epoch {dropped.epoch}" if dropped and behind else "",
    )


def seconds_an_epoch(client: Client, job: Job) -> float | None:
    """What an epoch of a job is likely to take, by the latest run of its kind; None where there is
    none."""
    similar = find_similar(client, _alike(job))
    if similar is None:
        return None
    return len(job.data.train) / similar.metrics["throughput/train_img_s"]


def _todo(former: PreviousRun) -> str:
    if former.state == "paused" and former.record is not None:
        return f"go on: {former.record.state}"
    return _TO_DO[former.state]


def epochs_done(client: Client, job: Job, known: dict[str, list[RunRecord]] | None = None) -> int:
    """How many epochs of a job `resume=true` need not train, for an earlier command did.

    Args:
        known: every run of the store, as `find_all_of` gives it, so that it is not asked.

    Raises:
        ConfigError: the store cannot be read.
    """
    with answering(client.tracking_uri, "read"):
        former = find_previous_run(client, job.fingerprint, known)
    return last_epoch(job.config) - _epochs_left(job, former)


def _epochs_left(job: Job, former: PreviousRun) -> int:
    if former.state == "finished":
        return 0
    done = 0
    if former.record is not None and former.folder is not None:
        done = Checkpoints(former.folder, former.record.id).epochs_done()
    return max(last_epoch(job.config) - done, 0)


def _alike(job: Job) -> dict[str, str]:
    """The parameters of runs that trained the same part of the model on the same images."""
    return {
        "model.name": job.config.model.name,
        "data.digest": job.data.digest,
        "image_size": str(job.config.image_size),
        "tune": job.config.tune,
        "frozen_features": job.config.frozen_features,
    }
