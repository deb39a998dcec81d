"""Head-only runs, as a sweep over learning rates has them: on stored features, and exactly."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace

from tabulate import tabulate

from experiments.speed.contest import environment, job_of
from experiments.speed.timing import CLOCKS
from transfer.job import Job
from transfer.training.trainer import Trainer

_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


def heads_table(
    models: Sequence[str], overrides: Sequence[str], *, images: int, epochs: int, clock: str
) -> str:
    """Seconds of six head-only runs a model, tested, from an empty cache; as a Markdown table."""
    now = CLOCKS[clock]
    rows = []
    totals = {"exact": 0.0, "cache": 0.0}
    for model in models:
        job = job_of(f"model={model}", *overrides, images=images)
        for mode in totals:
            with tempfile.TemporaryDirectory() as folder, environment("TRANSFER_CACHE", folder):
                start = now()
                accuracies = [_run(job, mode, rate, epochs) for rate in _RATES]
                seconds = now() - start
            totals[mode] += seconds
            rows.append([model, mode, f"{seconds:,.1f}", f"{100 * max(accuracies):.2f}"])
    times = totals["exact"] / totals["cache"]
    headers = ["model", "frozen_features", f"{len(_RATES)} runs, s", "best validation, %"]
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    return f"{table}\n\nAll together: stored features are {times:.1f} times as fast."


def _run(job: Job, mode: str, rate: float, epochs: int) -> float:
    """Train a head and test it: the best validation accuracy, 0 to 1."""
    optimizer = replace(job.config.optimizer, lr=rate)
    config = replace(
        job.config,
        epochs=epochs,
        freeze_epochs=epochs,
        frozen_features=mode,
        optimizer=optimizer,
    )
    trainer = Trainer(job.model(), job.data, config, job.device)
    accuracies = [epoch.val_accuracy for epoch in trainer.epochs()]
    trainer.test_logits()
    return max(accuracies)
