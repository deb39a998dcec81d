"""Data sets read, kept at hand and split."""

import json
import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch

from transfer.config.schema import DataConfig, ImageFolderConfig
from transfer.data.copies import copy_lines, file_copies
from transfer.data.decoded_cache import read_through_cache
from transfer.data.image_data import ImageData, Source, Split
from transfer.data.image_folder import read_image_folder
from transfer.data.part_folders import own_test_folder, part_folders, refuse_fractions
from transfer.data.sources import READERS, original_files
from transfer.data.split import fold_split, keep_per_class, stratified_split
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
        if isinstance(config, ImageFolderConfig):
            if config.fold is not None:
                _refuse_own_test_folder(config, config.fold)
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
        if isinstance(config, ImageFolderConfig):
            side = config.stored_size or stored_size
            if interpolation != "bilinear":
                what["interpolation"] = interpolation
        key = json.dumps([what, config.root, side])
        # What is kept is the same, whether it is read into memory or mapped.
        at_hand = (key, config.resident_gb)
        if at_hand not in self._last_read:

            def read(file: Path) -> Source:
                if isinstance(config, ImageFolderConfig):
                    size = config.stored_size or stored_size
                    return read_image_folder(config, size, file, interpolation)
                return READERS[config.name](config)

            # First, for what was split of it is as large.
            self._last_split.clear()
            self._last_read.clear()
            self._last_read[at_hand] = read_through_cache(
                key, original_files(config), read, config.resident_gb
            )
            self._say(config, self._last_read[at_hand].remarks)
        return self._last_read[at_hand]


# The ones of this process.
process_data_sets = cache(DataSets)


def _split(
    config: DataConfig,
    source: Source,
    validation: str,
    say: Callable[[DataConfig, Iterable[str]], None],
) -> ImageData:
    train, test = source.train, source.test
    if test is None:
        if config.fold is None:
            kept, held_out = stratified_split(train.labels, config.test_fraction, config.seed)
        else:
            _require_foldable(config, source)
            kept, held_out = fold_split(train.labels, config.fold, config.folds, config.seed)
        train, test = train.subset(kept), train.subset(held_out)
    val = test if validation == "test" else source.val
    if val is None:
        kept, held_out = stratified_split(train.labels, config.validation_fraction, config.seed)
        train, val = train.subset(kept), train.subset(held_out)
    if config.train_per_class is not None:
        train = train.subset(keep_per_class(train.labels, config.train_per_class, config.seed))
    _require_every_class(config, train, val, test, source.classes)
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
        digest=source.digest,
        files_digest=source.files_digest,
        pool=source.train if source.test is None else None,
        skipped=source.skipped,
        shared_images=shared,
        resident=resident,
    )


def _refuse_own_test_folder(config: ImageFolderConfig, fold: int) -> None:
    """Before hours of decoding."""
    if folder := own_test_folder(config):
        own = f"there is a test set of its own in {folder}"
        problem = f"{own}; data.test_folder=null folds all of {config.train_folder}/"
        if "val" not in part_folders(config):
            problem += "; data.seed='range(5)' repeats the split of the others"
        raise ConfigError("data.fold", fold, problem)


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
