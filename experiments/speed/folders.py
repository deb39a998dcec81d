"""How a start grows with the pictures of many class folders, the way ImageNet lies on a disk."""

import multiprocessing
import resource
import shutil
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from tabulate import tabulate

from experiments.speed.contest import config_of, empty_cache
from experiments.speed.options import Options
from experiments.speed.timing import CLOCKS
from transfer.config.schema import ImageFolderConfig
from transfer.data import Batches
from transfer.data.class_folders import list_images
from transfer.data.part_folders import folder_root, part_folders
from transfer.job import prepare
from transfer.system.cache import cache_folder
from transfer.system.device import keep_freed_memory
from transfer.system.errors import ConfigError

# ImageNet's number of classes. Of small sets fewer, for each class has images in each split.
_CLASSES = 1000
_LEAST_PER_CLASS = 50
# Of the images, in the order in which they are measured.
_SHARES = (0.2, 0.5, 1.0)


def folders_table(options: Options) -> str:
    """From a made-ready model to the first batch of training images: with an empty cache, and again
    with what it holds then; each in a process of its own, whose peak memory counts as a whole.

    Raises:
        ConfigError: there is no folder to take pictures from, or it holds too few.
    """
    config = config_of(f"model={options.model_names[0]}", *options.overrides)
    if not isinstance(config.data, ImageFolderConfig):
        problem = "takes copies of pictures: data=image_folder data.root=… says of which"
        raise ConfigError("what", "folders", problem)
    train = folder_root(config.data) / part_folders(config.data)["train"]
    pictures = [path for path, _ in list_images(train).samples]
    if len(pictures) < options.images:
        raise ConfigError("images", options.images, f"{train} holds only {len(pictures):,}")
    classes = min(_CLASSES, max(options.images // _LEAST_PER_CLASS, 2))
    rows = []
    for share in _SHARES:
        per_class = int(share * options.images) // classes
        with tempfile.TemporaryDirectory() as folder, empty_cache():
            copied = _make_set(Path(folder), pictures, classes, per_class)
            words = [f"model={options.model_names[0]}", *options.overrides, f"data.root={folder}"]
            for start in ("empty cache", "again"):
                seconds, memory = _apart(words, options.clock)
                each = f"{1e3 * seconds / (classes * per_class):.2f} ms an image"
                rows.append(
                    [classes * per_class, classes, start, seconds, each, memory, copied, _cached()]
                )
    headers = ["images", "classes", "start", "seconds to the first batch", "seconds each"]
    headers += ["peak memory, MB", "files, MB", "cache, MB"]
    return tabulate(rows, headers, tablefmt="github", floatfmt=",.1f", intfmt=",")


def _make_set(folder: Path, pictures: Sequence[Path], classes: int, per_class: int) -> float:
    """Copies of so many pictures in class folders below `train/`; their size in MB."""
    left, size = iter(pictures), 0
    for number in range(classes):
        place = folder / "train" / f"n{number:08}"
        place.mkdir(parents=True)
        for picture in islice(left, per_class):
            copy = place / f"{picture.parent.name}-{picture.name}"
            size += shutil.copyfile(picture, copy).stat().st_size
    return size / 1e6


def _apart(words: Sequence[str], clock: str) -> tuple[float, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_first_batch, (words, clock))


def _first_batch(words: Sequence[str], clock: str) -> tuple[float, float]:
    """Seconds, and the most memory that this process ever had, in MB."""
    keep_freed_memory()
    config = config_of(*words)
    start = CLOCKS[clock]()
    job = prepare(config)
    batches = Batches(job.data.train, config.batch_size, job.device, resident=job.data.resident)
    generator = torch.Generator().manual_seed(config.seed)
    next(batches.shuffled(generator))
    seconds = CLOCKS[clock]() - start
    # In units of 1,024 bytes, as Linux counts.
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _cached() -> float:
    files = (each for each in cache_folder().rglob("*") if each.is_file())
    return sum(each.stat().st_size for each in files) / 1e6
