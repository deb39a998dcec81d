"""What the batched augmentations cost, as shares of the training step that they belong to."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from tabulate import tabulate

from experiments.speed.contest import config_of, job_of, training_step
from experiments.speed.options import Options
from experiments.speed.peak import matrix_product_peak, step_operations
from experiments.speed.timing import Spread, alternate
from transfer.augment.crops import stored_size
from transfer.augment.mixing import mix, random_mixtures
from transfer.config.schema import GROUPS, AugmentConfig
from transfer.job import Job

_BATCHES_A_TURN = 5


def augment_table(options: Options) -> str:
    """Milliseconds of a step without augmentation, which share of the peak that is, and of each
    augmentation, as a Markdown table."""
    rows = []
    size = options.batch_size
    for model in options.model_names:
        words = (f"model={model}", f"batch_size={size}", "freeze_epochs=0", *options.overrides)
        job = job_of(*words, images=size)
        measured = _measure(job, options.rounds, options.clock)
        rows += [[model, job.config.precision, *row] for row in measured]
    headers = [
        "model",
        "precision",
        "step, ms",
        "of the matrix-product peak, %",
        "resize and normalise, ms",
        "augment",
        "augmentation, ms",
        "share of the step, %",
    ]
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def augmentations() -> dict[str, AugmentConfig]:
    """Every choice of the group, and what mixes images, by the words that choose it."""
    names = [name for name in GROUPS["augment"] if name != "none"]
    words = [*names, "none augment.mixup=1", "none augment.cutmix=1"]
    return {each: config_of(*f"augment={each}".split()).augment for each in words}


def _measure(job: Job, rounds: int, clock: str) -> list[list[str]]:
    chosen = augmentations()
    contestants = {
        "step": training_step(job, _BATCHES_A_TURN),
        "plain": _preprocess(job, AugmentConfig()),
        **{name: _preprocess(job, augment) for name, augment in chosen.items()},
    }
    seconds = alternate(contestants, max(rounds, 5) * 2, job.device, clock, warm_up=2)
    milliseconds = {
        name: [1e3 * each / _BATCHES_A_TURN for each in times] for name, times in seconds.items()
    }
    step, plain = milliseconds["step"], milliseconds["plain"]
    # Measured beside the step: a processor's clock, and with it its peak, goes up and down.
    peak = matrix_product_peak(job.device, getattr(torch, job.config.precision), clock)
    operations = step_operations(job.model(), job.config.image_size, job.device)
    done = operations * len(job.data.train)
    shares = [100 * done / (each / 1e3) / peak for each in step]
    rows = []
    for name in chosen:
        extra = [after - before for after, before in zip(milliseconds[name], plain, strict=True)]
        rows.append(
            [
                Spread.of(step).text(1),
                Spread.of(shares).text(),
                Spread.of(plain).text(1),
                name,
                Spread.of(extra).text(1),
                Spread.of([100 * each / one for each, one in zip(extra, step, strict=True)]).text(
                    1
                ),
            ]
        )
    return rows


def _preprocess(job: Job, augment: AugmentConfig) -> Callable[[], None]:
    size = job.config.image_size
    preprocess = job.normalization.preprocess(size, augment)
    images = job.data.train.images
    # As a folder's pictures are kept, which have the pixels for it.
    kept = max(stored_size(size, augment.crop_scale), images.shape[-1])
    images = F.interpolate(images, (kept, kept), mode="bilinear").to(job.device)
    labels, classes = job.data.train.labels.to(job.device), len(job.data.classes)
    generator = torch.Generator().manual_seed(0)

    def run() -> None:
        for _ in range(_BATCHES_A_TURN):
            augmented = preprocess(images, preprocess.draw(images, generator))
            mixtures = random_mixtures(len(images), size, size, augment, generator)
            mix(augmented, labels, classes, mixtures)

    return run
