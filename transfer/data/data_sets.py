"""Data sets read, kept at hand and split."""

import json
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

from transfer.config.schema import DataConfig, ImageFolderConfig, PicturesConfig, ShardsConfig
from transfer.data.copies import copy_lines, file_copies
from transfer.data.decoded_cache import read_through_cache
from transfer.data.image_data import ImageData, Source, Split
from transfer.data.image_folder import read_image_folder
from transfer.data.own_parts import refuse_fractions, refuse_own_test
from transfer.data.shards import decoded, read_shards
from transfer.data.sources import READERS, original_files
from transfer.data.split import (
    fold_split,
    keep_per_class,
    split_whole,
    stratified_split,
    with_groups,
)
from transfer.system.errors import ConfigError

log = logging.getLogger(__name__)

# What is done to images after they were split.
_LATER = ("normalization", "mean", "std")


class DataSets:
    """Reads and splits data sets. The jobs of a sweep mostly share one: the last one read stays at
    hand, and so does the way that it was split last."""

    def __init__(self) -> None:
        self._last_read: dict[tuple[str, float], Source] = {}
        self._last_split: dict[str, ImageData] = {}
        self._said = set[tuple[str | None, str]]()

    def load(
        self,
        config: DataConfig,
        stored_size: int,
        validation: str = "held_out",
        interpolation: str = "bilinear",
    ) -> ImageData:
        """Read a data set and split it.

        Args:
            config: which set, and how it is split.
            stored_size: pixels at which images are stored, unless `data.stored_size` says
                otherwise; matters only to folders whose images differ in size or are larger.
            validation: "test" validates on the test set, and holds nothing out.
            interpolation: "bilinear" or "bicubic", by which the images of a folder become so large.

        Raises:
            ConfigError: the data is missing, damaged, or too small to split.
        """
        if isinstance(config, PicturesConfig):
            refuse_own_test(config)
            refuse_fractions(config, validation)
        source = self._read(config, stored_size, interpolation)
        settings = {name: value for name, value in asdict(config).items() if name not in _LATER}
        key = json.dumps([source.digest, settings, validation])
        if key not in self._last_split:
            self._last_split.clear()
            self._last_split[key] = _split(config, source, validation, self._say)
        return self._last_split[key]

    def _say(self, config: DataConfig, remarks: Iterable[str]) -> None:
        """Each once: jobs may have the same images at other sizes, or in turns with others."""
        for remark in remarks:
            if (config.root, remark) not in self._said:
                self._said.add((config.root, remark))
                log.warning(remark)

    def _read(self, config: DataConfig, stored_size: int, interpolation: str) -> Source:
        what = {
            name: value
            for name, value in asdict(config).items()
            if name in ("name", "on_bad_image", "fit") or "folder" in name
        }
        side = None
        if isinstance(config, PicturesConfig):
            side = config.stored_size or stored_size
            if interpolation != "bilinear":
                what["interpolation"] = interpolation
        key = json.dumps([what, config.root, side])
        # What is kept is the same, whether it is read into memory or mapped.
        at_hand = (key, config.resident_gb)
        if at_hand not in self._last_read:
            # First, for what was split of it is as large.
            self._last_split.clear()
            self._last_read.clear()
            self._last_read[at_hand] = _read_anew(config, key, side or 0, interpolation)
            self._say(config, self._last_read[at_hand].remarks)
        return self._last_read[at_hand]


# The ones of this process.
process_data_sets = cache(DataSets)


def _read_anew(config: DataConfig, key: str, side: int, interpolation: str) -> Source:
    """A data set; side is in pixels, and that of one's own pictures."""
    if isinstance(config, ShardsConfig):
        shards = read_shards(config, side, interpolation)
        if shards.nbytes > config.resident_gb * 10**9:
            return shards

    def read(file: Path) -> Source:
        if isinstance(config, ShardsConfig):
            return decoded(shards)
        if isinstance(config, ImageFolderConfig):
            return read_image_folder(config, side, file, interpolation)
        return READERS[config.name](config)

    return read_through_cache(key, original_files(config), read, config.resident_gb)


def _split(
    config: DataConfig,
    source: Source,
    validation: str,
    say: Callable[[DataConfig, Iterable[str]], None],
) -> ImageData:
    train, test = source.train, source.test
    groups = None
    if train.shards is not None and _by_shard(config):
        groups = train.shards.unique(return_inverse=True)[1]
    if test is None:
        least = 2 if config.fold is None else config.folds
        train, test = _part(config, train, _test_split(config, source), least)
    val = test if validation == "test" else source.val
    if val is None:
        stratified = partial(stratified_split, fraction=config.validation_fraction)
        train, val = _part(config, train, partial(stratified, seed=config.seed))
    if config.train_per_class is not None:
        train = train.subset(keep_per_class(train.labels, config.train_per_class, config.seed))
    drawn = (source.test is None) + (source.val is None and validation != "test")
    _require_every_class(config, train, val, test, source.classes, needed=1 + drawn)
    say(config, copy_lines(train, val, test))
    others = [train] if val is test else [train, val]
    shared = int(torch.stack([file_copies(test, other) for other in others]).any(0).sum())
    bound = config.resident_gb * 10**9
    resident = sum(split.nbytes for split in (train, val, test)) <= bound
    if resident and source.nbytes > bound:
        # Few images of a set that lies in a file.
        train, val, test = (split.in_memory() for split in (train, val, test))
    return ImageData(
        name=config.name,
        classes=source.classes,
        train=train,
        val=val,
        test=test,
        digest=with_groups(source.digest, groups),
        files_digest=source.files_digest,
        groups=groups,
        pool=source.train if source.test is None else None,
        skipped=source.skipped,
        shared_images=shared,
        resident=resident,
    )


def _test_split(config: DataConfig, source: Source) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """What holds test images out, by the labels."""
    if config.fold is None:
        return partial(stratified_split, fraction=config.test_fraction, seed=config.seed)
    if not _by_shard(config):
        _require_foldable(config, source)
    return partial(fold_split, fold=config.fold, folds=config.folds, seed=config.seed)


def _part(
    config: DataConfig,
    split: Split,
    how: Callable[[Tensor], tuple[Tensor, Tensor]],
    least: int = 2,
) -> tuple[Split, Split]:
    """The images that are kept, and those that are held out; where whole shards are, of so many at
    least."""
    if split.shards is None or not _by_shard(config):
        kept, held_out = how(split.labels)
    else:
        count = len(split.shards.unique())
        if count < least:
            shards = "1 shard is" if count == 1 else f"{count} shards are"
            needed = f"{shards} left to hold some out of, and {least} are needed"
            problem = f"{needed}; write more and smaller ones"
            if 1 < count < least == config.folds:
                problem += f", take data.folds={count} or fewer"
            raise ConfigError("data.split_by", "shard", f"{problem}, or take data.split_by=image")
        kept, held_out = split_whole(split.shards, how)
    return split.subset(kept), split.subset(held_out)


def _by_shard(config: DataConfig) -> bool:
    return isinstance(config, ShardsConfig) and config.split_by == "shard"


def _require_foldable(config: DataConfig, source: Source) -> None:
    """Raise ConfigError where some fold would leave nothing of a class to train on, validate on or
    test."""
    sizes = torch.bincount(source.train.labels, minlength=len(source.classes))
    smallest = int(sizes.argmin())
    count = int(sizes[smallest])
    # Of the images outside the fold one is trained on, and one more held out for validation.
    needed = 2 if source.val is None else 1

    def enough(folds: int) -> bool:
        return count >= folds and count - math.ceil(count / folds) >= needed

    if not enough(config.folds):
        images = "1 image" if count == 1 else f"{count} images"
        fewer = f", or take data.folds={count}" if count > 1 and enough(count) else ""
        problem = f"{source.classes[smallest]} has {images}, too few for each fold to test on some"
        raise ConfigError("data.folds", config.folds, f"{problem}; give it more images{fewer}")


def _require_every_class(
    config: DataConfig,
    train: Split,
    val: Split,
    test: Split,
    classes: tuple[str, ...],
    *,
    needed: int,
) -> None:
    """A class with too few images would be trained on and never tested, or the reverse.

    Args:
        needed: of each class, to have one for each split that is drawn.
    """
    for name, split in (("training", train), ("validation", val), ("test", test)):
        counts = torch.bincount(split.labels, minlength=len(classes))
        missing = [classes[index] for index in (counts == 0).nonzero().flatten().tolist()]
        if missing:
            which = "it" if len(missing) == 1 else "each"
            remedy = f"give {which} more images, {needed} or more, or leave the class out"
            if _by_shard(config):
                remedy = "shards that hold images of every class do, or data.split_by=image"
            problem = f"no {name} image is left of {', '.join(missing[:5])}; {remedy}"
            raise ConfigError("data", config.name, problem)
    if len(train) < 2:
        raise ConfigError("data", config.name, "at least two training images are needed")
