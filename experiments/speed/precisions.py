"""In which precision a model's training step is faster: the evidence for `precision=auto`."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from experiments.speed.contest import job_of, training_step
from experiments.speed.timing import Spread, alternate, ratios

_STEPS_A_TURN = 2


def precision_table(
    models: Sequence[str], overrides: Sequence[str], *, batch_size: int, rounds: int, clock: str
) -> str:
    """Images a second of training steps in float32 and bfloat16, as a Markdown table."""
    rows = []
    for model in models:
        common = (
            "model=torchvision",
            f"model.name={model}",
            "weights=none",
            "freeze_epochs=0",
            f"batch_size={batch_size}",
            *overrides,
        )
        jobs = {
            name: job_of(*common, f"precision={name}", images=batch_size)
            for name in ("float32", "bfloat16")
        }
        contestants = {name: training_step(job, _STEPS_A_TURN) for name, job in jobs.items()}
        seconds = alternate(contestants, rounds, jobs["float32"].device, clock)
        images = batch_size * _STEPS_A_TURN
        rates = [Spread.of([images / each for each in times]) for times in seconds.values()]
        gain = ratios(seconds["float32"], seconds["bfloat16"])
        rows.append([model, *(rate.text() for rate in rates), gain.text(2)])
    headers = ["model", "float32, images/s", "bfloat16, images/s", "bfloat16 is … times as fast"]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)
