"""What the batched augmentation costs, as a share of the training step that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from tabulate import tabulate

from experiments.speed.contest import job_of, training_step
from experiments.speed.timing import Spread, alternate
from transfer.augment import Preprocess
from transfer.config.schema import AugmentConfig
from transfer.job import Job

_BATCHES_A_TURN = 5


def augment_table(
    models: Sequence[str], overrides: Sequence[str], *, batch_size: int, rounds: int, clock: str
) -> str:
    """Milliseconds of a step without augmentation, and of the augmentation, as a Markdown table."""
    rows = []
    for model in models:
        job = job_of(
            f"model={model}",
            f"batch_size={batch_size}",
            "freeze_epochs=0",
            *overrides,
            images=batch_size,
        )
        contestants = {
            "step": training_step(job, _BATCHES_A_TURN),
            "plain": _preprocess(job, AugmentConfig()),
            "augmented": _preprocess(job, job.config.data.augment),
        }
        alternate(contestants, 2, job.device)
        seconds = alternate(contestants, max(rounds, 5) * 2, job.device, clock)
        per_batch = {
            name: [1e3 * each / _BATCHES_A_TURN for each in times]
            for name, times in seconds.items()
        }
        extra = [
            after - before
            for after, before in zip(per_batch["augmented"], per_batch["plain"], strict=True)
        ]
        shares = [100 * each / step for each, step in zip(extra, per_batch["step"], strict=True)]
        rows.append(
            [
                model,
                job.config.precision,
                Spread.of(per_batch["step"]).text(1),
                Spread.of(per_batch["plain"]).text(1),
                Spread.of(extra).text(1),
                Spread.of(shares).text(1),
            ]
        )
    headers = [
        "model",
        "precision",
        "step, ms",
        "resize and normalise, ms",
        "augmentation, ms",
        "share of the step, %",
    ]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _preprocess(job: Job, augment: AugmentConfig) -> Callable[[], None]:
    preprocess = Preprocess(job.config.image_size, job.data.mean, job.data.std, augment)
    images = job.data.train.images.to(job.device)
    generator = torch.Generator().manual_seed(0)

    def run() -> None:
        for _ in range(_BATCHES_A_TURN):
            preprocess(images, generator)

    return run
