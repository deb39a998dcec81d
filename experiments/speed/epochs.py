"""How long an epoch takes, in turns: against the tutorial's loop, and with streamed images."""

from collections.abc import Callable

import torch
from tabulate import tabulate

from experiments.speed.contest import endless, five_stored, job_of, pillow_images, reference
from experiments.speed.options import Options
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
_RESIDENT, _STREAMED = "resident", "streamed"
_ARTICLE = f"article, batch {BATCH_SIZE}"


def epochs_table(options: Options) -> str:
    """Unfrozen and frozen epochs, training and evaluation counted, as a Markdown table."""
    rows: list[list[str]] = []
    peaks: dict[str, float] = {}
    for model in options.model_names:
        jobs = {
            f"project, batch {size}": job_of(
                f"model={model}",
                f"batch_size={size}",
                *options.overrides,
                images=options.images,
            )
            for size in sorted({BATCH_SIZE, options.batch_size})
        }
        for job in jobs.values():
            if job.config.precision not in peaks:
                dtype = getattr(torch, job.config.precision)
                peaks[job.config.precision] = matrix_product_peak(job.device, dtype, options.clock)
        for kind in (UNFROZEN, EXACT, STORED):
            rows += _contest(model, jobs, peaks, kind, options)
    peak = ", ".join(f"{value / 1e9:,.0f} GFLOP/s {name}" for name, value in peaks.items())
    table = tabulate(rows, _HEADERS, tablefmt="github", disable_numparse=True)
    return f"{table}\n\nMatrix-product peak: {peak}."


def streaming_table(options: Options) -> str:
    """What it costs to stream the images from the disk cache, rather than to have them in memory:
    unfrozen epochs, training and evaluation counted, in turns, as a Markdown table."""
    rows, size, images = [], options.batch_size, options.images
    for model in options.model_names:
        words = (f"model={model}", f"batch_size={size}", *options.overrides)
        # The streamed one first: the other takes its images into memory from the same map.
        jobs = {
            name: job_of(*words, f"data.resident_gb={bound}", images=images)
            for name, bound in ((_STREAMED, 0), (_RESIDENT, 1_000_000))
        }
        contestants = {name: endless(job, frozen=False) for name, job in jobs.items()}
        seconds = alternate(contestants, options.rounds, jobs[_RESIDENT].device, options.clock)
        for name in (_RESIDENT, _STREAMED):
            rate = Spread.of([images / each for each in seconds[name]])
            share = ratios(seconds[_RESIDENT], seconds[name])
            rows.append([model, name, size, rate.text(), share.text(2)])
    headers = ["model", "images", "batch", "images/s", "times the resident's"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _contest(
    model: str, jobs: dict[str, Job], peaks: dict[str, float], kind: str, options: Options
) -> list[list[str]]:
    first = next(iter(jobs.values()))
    # A clock of this process does not see what worker processes use.
    workers = 0
    if options.clock == "wall":
        workers = faster_workers(pillow_images(first.data, first.config, first.normalization)[0])
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
    seconds = alternate(contestants, options.rounds, first.device, options.clock)
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
