"""How long an epoch takes: the project against the tutorial's loop, in turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from tabulate import tabulate

from experiments.speed.contest import endless, five_stored, job_of, pillow_images, reference
from experiments.speed.peak import matrix_product_peak, step_operations
from experiments.speed.reference_loop import BATCH_SIZE, faster_workers
from experiments.speed.timing import Spread, alternate, ratios
from transfer.job import Job

_HEADERS = [
    "model",
    "epochs",
    "loop",
    "precision",
    "images/s",
    "times the article's",
    "share of peak",
]
UNFROZEN, EXACT, STORED = "unfrozen", "frozen, exact", "five frozen, stored features"
_ARTICLE = f"article, batch {BATCH_SIZE}"


def epochs_table(
    models: Sequence[str],
    overrides: Sequence[str],
    *,
    images: int,
    batch_size: int,
    rounds: int,
    clock: str,
) -> str:
    """Unfrozen and frozen epochs, training and evaluation counted, as a Markdown table.

    Args:
        overrides: of train.py, such as data=cifar10.
        images: training images; a fifth as many are evaluated.
        batch_size: the project's, beside the article's 64.
    """
    rows: list[list[str]] = []
    peaks: dict[str, float] = {}
    for model in models:
        jobs = {
            f"project, batch {size}": job_of(
                f"model={model}", f"batch_size={size}", *overrides, images=images
            )
            for size in sorted({BATCH_SIZE, batch_size})
        }
        for job in jobs.values():
            if job.config.precision not in peaks:
                dtype = getattr(torch, job.config.precision)
                peaks[job.config.precision] = matrix_product_peak(job.device, dtype, clock)
        for kind in (UNFROZEN, EXACT, STORED):
            rows += _contest(model, jobs, peaks, kind, rounds=rounds, clock=clock)
    peak = ", ".join(f"{value / 1e9:,.0f} GFLOP/s {name}" for name, value in peaks.items())
    table = tabulate(rows, _HEADERS, tablefmt="github", disable_numparse=True)
    return f"{table}\n\nMatrix-product peak: {peak}."


def _contest(
    model: str, jobs: dict[str, Job], peaks: dict[str, float], kind: str, *, rounds: int, clock: str
) -> list[list[str]]:
    first = next(iter(jobs.values()))
    # A clock of this process does not see what worker processes use.
    workers = faster_workers(pillow_images(first.data, first.config)[0]) if clock == "wall" else 0
    loop = reference(first, frozen=kind != UNFROZEN, workers=workers)
    epochs = 5 if kind == STORED else 1
    contestants: dict[str, Callable[[], object]] = {
        _ARTICLE: lambda: [loop.epoch() for _ in range(epochs)]
    }
    for name, job in jobs.items():
        if kind == STORED:
            contestants[name] = five_stored(job)
        else:
            contestants[name] = endless(job, frozen=kind == EXACT)
    seconds = alternate(contestants, rounds, first.device, clock)
    images = epochs * len(first.data.train)
    rows = []
    for name, times in seconds.items():
        rate = Spread.of([images / each for each in times])
        share = ""
        if name in jobs and kind == UNFROZEN:
            config = jobs[name].config
            operations = step_operations(jobs[name].model(), config.image_size, first.device)
            share = f"{rate.median * operations / peaks[config.precision]:.0%}"
        rows.append(
            [
                model,
                kind,
                name if name in jobs else f"{name}, {workers} workers",
                jobs[name].config.precision if name in jobs else "float32",
                rate.text(),
                ratios(seconds[_ARTICLE], times).text(2),
                share,
            ]
        )
    return rows
