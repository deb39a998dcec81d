"""What it costs to stream the images from the disk cache, rather than to have them in memory."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from experiments.speed.contest import endless, job_of
from experiments.speed.timing import Spread, alternate, ratios

_RESIDENT, _STREAMED = "resident", "streamed"


def streaming_table(
    models: Sequence[str],
    overrides: Sequence[str],
    *,
    images: int,
    batch_size: int,
    rounds: int,
    clock: str,
) -> str:
    """Unfrozen epochs, training and evaluation counted, in turns; as a Markdown table."""
    rows = []
    for model in models:
        words = (f"model={model}", f"batch_size={batch_size}", *overrides)
        # The streamed one first: the other takes its images into memory from the same map.
        jobs = {
            name: job_of(*words, f"data.resident_gb={bound}", images=images)
            for name, bound in ((_STREAMED, 0), (_RESIDENT, "inf"))
        }
        contestants = {name: endless(job, frozen=False) for name, job in jobs.items()}
        seconds = alternate(contestants, rounds, jobs[_RESIDENT].device, clock)
        for name in (_RESIDENT, _STREAMED):
            rate = Spread.of([images / each for each in seconds[name]])
            share = ratios(seconds[_RESIDENT], seconds[name])
            rows.append([model, name, batch_size, rate.text(), share.text(2)])
    headers = ["model", "images", "batch", "images/s", "times the resident's"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)
