"""What the batched augmentation costs, as a share of the training step that it belongs to."""

from collections.abc import Callable

import torch
from tabulate import tabulate

from experiments.speed.contest import job_of, training_step
from experiments.speed.options import Options
from experiments.speed.peak import matrix_product_peak, step_operations
from experiments.speed.timing import Spread, alternate
from transfer.augment import Preprocess
from transfer.config.schema import AugmentConfig
from transfer.job import Job

_BATCHES_A_TURN = 5


def augment_table(options: Options) -> str:
    """Milliseconds of a step without augmentation, which share of the peak that is, and of the
    augmentation, as a Markdown table."""
    rows = []
    size = options.batch_size
    for model in options.model_names:
        words = (f"model={model}", f"batch_size={size}", "freeze_epochs=0", *options.overrides)
        job = job_of(*words, images=size)
        rows.append([model, job.config.precision, *_measure(job, options.rounds, options.clock)])
    headers = [
        "model",
        "precision",
        "step, ms",
        "of the matrix-product peak, %",
        "resize and normalise, ms",
        "augmentation, ms",
        "share of the step, %",
    ]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def _measure(job: Job, rounds: int, clock: str) -> list[str]:
    contestants = {
        "step": training_step(job, _BATCHES_A_TURN),
        "plain": _preprocess(job, AugmentConfig()),
        "augmented": _preprocess(job, job.config.augment),
    }
    seconds = alternate(contestants, max(rounds, 5) * 2, job.device, clock, warm_up=2)
    step, plain, augmented = (
        [1e3 * each / _BATCHES_A_TURN for each in times] for times in seconds.values()
    )
    extra = [after - before for after, before in zip(augmented, plain, strict=True)]
    # Measured beside the step: a processor's clock, and with it its peak, goes up and down.
    peak = matrix_product_peak(job.device, getattr(torch, job.config.precision), clock)
    operations = step_operations(job.model(), job.config.image_size, job.device)
    done = operations * len(job.data.train)
    return [
        Spread.of(step).text(1),
        Spread.of([100 * done / (each / 1e3) / peak for each in step]).text(),
        Spread.of(plain).text(1),
        Spread.of(extra).text(1),
        Spread.of([100 * each / one for each, one in zip(extra, step, strict=True)]).text(1),
    ]


def _preprocess(job: Job, augment: AugmentConfig) -> Callable[[], None]:
    preprocess = Preprocess(job.config.image_size, job.data.mean, job.data.std, augment)
    images = job.data.train.images.to(job.device)
    generator = torch.Generator().manual_seed(0)

    def run() -> None:
        for _ in range(_BATCHES_A_TURN):
            preprocess(images, generator)

    return run
