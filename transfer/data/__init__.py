"""A data set as uint8 images, labels, class names and a digest, split and ready."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import torch

from transfer.config.schema import DataConfig
from transfer.data.batches import Batches, training_batches
from transfer.data.decoded_cache import read_through_cache
from transfer.data.image_data import (
    ImageData,
    Source,
    Split,
    channel_statistics,
)
from transfer.data.image_folder import read_image_folder
from transfer.data.sources import READERS, original_files
from transfer.data.split import keep_per_class, stratified_split
from transfer.system.errors import ConfigError

__all__ = ["Batches", "ImageData", "Source", "Split", "load_data", "training_batches"]

log = logging.getLogger(__name__)

_SHARED = (
    "%d of %d test images are also among the training or validation images, file for file: test "
    "accuracies are too good"
)

# The jobs of a sweep mostly share one data set: the last one read stays at hand.
_last_read: dict[str, tuple[Source, str]] = {}
# … and so does the way that it was split last.
_last_split: dict[str, ImageData] = {}


def load_data(config: DataConfig, image_size: int, validation: str = "held_out") -> ImageData:
    """Read a data set and split it.

    Args:
        config: which set, and how it is split.
        image_size: pixels; matters only to folders whose images differ in size.
        validation: "test" validates on the test set, and holds nothing out.

    Raises:
        ConfigError: the data is missing, damaged, or too small to split.
    """
    source, digest = _read(config, image_size)
    settings = {name: value for name, value in asdict(config).items() if name != "augment"}
    key = json.dumps([digest, settings, validation])
    if key not in _last_split:
        _last_split.clear()
        _last_split[key] = _split(config, source, digest, validation)
    return _last_split[key]


def _split(config: DataConfig, source: Source, digest: str, validation: str) -> ImageData:
    train, test = source.train, source.test
    if test is None:
        kept, held_out = stratified_split(train.labels, config.test_fraction, config.seed)
        train, test = train.subset(kept), train.subset(held_out)
    val = test if validation == "test" else source.val
    if val is None:
        kept, held_out = stratified_split(train.labels, config.validation_fraction, config.seed)
        train, val = train.subset(kept), train.subset(held_out)
    if config.train_per_class is not None:
        train = train.subset(keep_per_class(train.labels, config.train_per_class, config.seed))
    _require_every_class(config, train, val, test, source.classes)
    # Measuring takes a second on a large set: only where a statistic is not given.
    given = config.mean and config.std
    mean, std = ((), ()) if given else channel_statistics(train.pieces())
    shared = _shared_files(test, [split for split in (train, val) if split is not test])
    if shared:
        log.warning(_SHARED, shared, len(test))
    return ImageData(
        name=config.name,
        classes=source.classes,
        train=train,
        val=val,
        test=test,
        digest=digest,
        mean=tuple(config.mean or mean),
        std=tuple(config.std or std),
        skipped=source.skipped,
        shared_images=shared,
        resident=sum(split.nbytes for split in (train, val, test)) <= config.resident_gb * 10**9,
    )


def _shared_files(test: Split, others: list[Split]) -> int:
    """How many test images are copies of those of other splits, byte for byte."""
    files = [split.files for split in others if split.files is not None]
    if test.files is None or not files:
        return 0
    return int(torch.isin(test.files, torch.cat(files)).sum())


def _read(config: DataConfig, image_size: int) -> tuple[Source, str]:
    settings = asdict(config)
    what = {
        key: settings[key] for key in settings if key in ("name", "on_bad_image") or "folder" in key
    }
    key = json.dumps([what, config.root, image_size if config.name == "image_folder" else None])
    if key not in _last_read:
        read: Callable[[], Source]
        if config.name == "image_folder":
            read = partial(read_image_folder, config, image_size)
        elif config.name in READERS:
            read = partial(READERS[config.name], config)
        else:
            choices = ", ".join([*READERS, "image_folder"])
            raise ConfigError("data.name", config.name, f"choose from {choices}")
        _last_read.clear()
        _last_read[key] = read_through_cache(key, original_files(config), read, config.resident_gb)
        for remark in _last_read[key][0].remarks:
            log.warning(remark)
    return _last_read[key]


def _require_every_class(
    config: DataConfig, train: Split, val: Split, test: Split, classes: tuple[str, ...]
) -> None:
    """A class with too few images would be trained on and never tested, or the reverse."""
    for name, split in (("training", train), ("validation", val), ("test", test)):
        counts = torch.bincount(split.labels, minlength=len(classes))
        missing = [classes[index] for index in (counts == 0).nonzero().flatten().tolist()]
        if missing:
            problem = f"no {name} image is left of {', '.join(missing[:5])}; give it more images"
            raise ConfigError("data", config.name, problem)
    if len(train) < 2:
        raise ConfigError("data", config.name, "at least two training images are needed")
