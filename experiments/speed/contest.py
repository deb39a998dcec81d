"""The project's training and the tutorial's loop on the same images, ready to take turns."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from hydra import compose, initialize_config_dir

from experiments.speed.reference_loop import PillowImages, ReferenceLoop, article_transforms
from transfer.config import Config, register_schema, typed_config
from transfer.config.schema import AugmentConfig
from transfer.data import ImageData, Split
from transfer.job import Job, prepare
from transfer.models.normalization import Normalization
from transfer.system.device import autocast
from transfer.system.errors import ConfigError
from transfer.system.paths import REPOSITORY
from transfer.training.batch_pass import BatchPass
from transfer.training.optim import build_optimizer
from transfer.training.phases import plan_phases, set_training_mode
from transfer.training.step import TrainingStep
from transfer.training.trainer import Trainer

# More epochs than any measurement takes.
_ENDLESS = 10_000


def config_of(*overrides: str) -> Config:
    """The configuration that train.py would get from these overrides."""
    register_schema()
    with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
        return typed_config(compose("config", overrides=list(overrides)))


def job_of(*overrides: str, images: int) -> Job:
    """A job on the first `images` training images and a fifth as many validation images.

    CIFAR-10's own ratio, so that an epoch has the share of evaluation that a real one has. Splits
    are ordered by class or not at all, so images are taken from all over the split.

    Raises:
        ConfigError: the data set has fewer images.
    """
    job = prepare(config_of(*overrides))
    data = job.data
    evaluated = data.val if len(data.val) >= images // 5 else data.test
    few = replace(data, train=evenly(data.train, images), val=evenly(evaluated, images // 5))
    return replace(job, data=few)


def trainer_of(job: Job, **changed: Any) -> Trainer:
    """Ready to train a job, some keys of its configuration changed."""
    config = replace(job.config, **changed)
    model = replace(job, config=config).model()
    return Trainer(model, job.data, config, job.device, job.normalization)


def endless(job: Job, *, frozen: bool) -> Callable[[], object]:
    """Each call trains and validates one more epoch, as in a run."""
    freeze_epochs = _ENDLESS if frozen else 0
    epochs = trainer_of(job, epochs=_ENDLESS, freeze_epochs=freeze_epochs).epochs()
    return lambda: next(epochs)


def five_stored(job: Job) -> Callable[[], object]:
    """Each call trains five frozen epochs on stored features, the backbone's pass included."""

    def run() -> None:
        with empty_cache():
            list(trainer_of(job, epochs=5, freeze_epochs=5, frozen_features="cache").epochs())

    return run


def training_step(job: Job, repeats: int) -> Callable[[], None]:
    """Each call goes forward and backward over all training images as one batch, and updates.

    The images lie ready: neither augmentation nor evaluation is counted.
    """
    [phase] = plan_phases(job.config)
    model = job.model()
    optimizer = build_optimizer(model, phase, job.config.optimizer)
    set_training_mode(model, phase)
    preprocess = job.normalization.preprocess(job.config.image_size, AugmentConfig())
    inputs = preprocess(job.data.train.images.to(job.device))
    labels = job.data.train.labels.to(job.device)
    context = autocast(job.device, job.config.precision)
    forward = BatchPass(model, None, len(job.data.classes), autocast=context)
    step = TrainingStep(forward, optimizer, job.device, capture=job.config.cuda_graphs)
    batch = {"inputs": inputs, "labels": labels}

    def run() -> None:
        for _ in range(repeats):
            step(batch)

    return run


def reference(job: Job, *, frozen: bool, workers: int) -> ReferenceLoop:
    """The tutorial's loop on the same images, from the same weights; evaluates job.data.val."""
    train, test = pillow_images(job.data, job.config, job.normalization)
    return ReferenceLoop(
        job.config.model.name,
        job.model().state_dict(),
        train,
        test,
        size=job.config.image_size,
        classes=len(job.data.classes),
        frozen=frozen,
        workers=workers,
        device=job.device,
    )


def pillow_images(
    data: ImageData, config: Config, normalization: Normalization
) -> tuple[PillowImages, PillowImages]:
    """Training images with the configured augmentation, and evaluation images without."""
    size, mean, std = config.image_size, normalization.mean, normalization.std
    return (
        PillowImages(data.train, article_transforms(size, mean, std, config.augment)),
        PillowImages(data.val, article_transforms(size, mean, std, None)),
    )


@contextmanager
def empty_cache() -> Iterator[None]:
    """A cache on disk of its own: what is there already would cost nothing."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, TRANSFER_CACHE=folder):
        yield


def evenly(split: Split, count: int) -> Split:
    """So many images from all over a split.

    Raises:
        ConfigError: it has fewer.
    """
    if len(split) < count:
        raise ConfigError("images", count, f"the data set has only {len(split)}")
    return split.subset(torch.linspace(0, len(split) - 1, count).long())
