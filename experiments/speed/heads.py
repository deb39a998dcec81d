"""Head-only runs, as a sweep over learning rates has them: on stored features, and exactly."""

from dataclasses import replace

from tabulate import tabulate

from experiments.speed.contest import empty_cache, job_of, trainer_of
from experiments.speed.options import Options
from experiments.speed.timing import CLOCKS
from transfer.job import Job

_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


def heads_table(options: Options) -> str:
    """Seconds of six head-only runs a model, tested, from an empty cache; as a Markdown table."""
    now = CLOCKS[options.clock]
    rows = []
    totals = {"exact": 0.0, "cache": 0.0}
    for model in options.model_names:
        job = job_of(f"model={model}", *options.overrides, images=options.images)
        for mode in totals:
            with empty_cache():
                start = now()
                accuracies = [_run(job, mode, rate, options.head_epochs) for rate in _RATES]
                seconds = now() - start
            totals[mode] += seconds
            rows.append([model, mode, f"{seconds:,.1f}", f"{100 * max(accuracies):.2f}"])
    times = totals["exact"] / totals["cache"]
    headers = ["model", "frozen_features", f"{len(_RATES)} runs, s", "best validation, %"]
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    return f"{table}\n\nAll together: stored features are {times:.1f} times as fast."


def _run(job: Job, mode: str, rate: float, epochs: int) -> float:
    """Train a head and test it: the best validation accuracy, 0 to 1."""
    trainer = trainer_of(
        job,
        epochs=epochs,
        freeze_epochs=epochs,
        frozen_features=mode,
        optimizer=replace(job.config.optimizer, lr=rate),
    )
    accuracies = [epoch.val_accuracy for epoch in trainer.epochs()]
    trainer.test_logits()
    return max(accuracies)
