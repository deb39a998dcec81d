"""Your own images: one folder a class."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from tqdm import tqdm

from transfer.config import ConfigError, printable
from transfer.config.schema import DataConfig, ImageFolderConfig
from transfer.data.class_folders import Listing, is_folder, list_images, require_same_classes
from transfer.data.decode import decode_or_refuse, resize_square
from transfer.data.image_data import Source, Split

log = logging.getLogger(__name__)

_Square = npt.NDArray[np.uint8]  # [3, side, side]
_LISTED = 10


def read_image_folder(config: DataConfig, image_size: int) -> Source:
    """Decode `data.root`'s train folder, and its validation and test folders where they exist.

    Squares of one size up to `image_size` are kept as they are. Else each image is resized so
    that its shorter side is `image_size`, and its central square is kept: memory then depends on
    `image_size`, not on the camera.

    With `data.on_bad_image=skip` the result is that of a folder without the files that cannot be
    read; they are logged, and named in `Source.skipped`.

    Raises:
        ConfigError: a folder is missing, empty or of one class; the splits' classes differ; a
            file cannot be read; or, of those skipped, one was the last of its class.
    """
    assert isinstance(config, ImageFolderConfig)
    root = Path(config.root or "").expanduser()
    folders = _folders(config, root)
    found = {part: list_images(root / name) for part, name in folders.items()}
    require_same_classes(root, folders, found)
    _log_left_out(folders, found)
    paths = [path for listing in found.values() for path, _ in listing.samples]
    squares, bad = _read_squares(paths, image_size, skip=config.on_bad_image == "skip")
    images = _one_tensor(squares, image_size)
    splits = {}
    for part, listing in found.items():
        labels = [label for path, label in listing.samples if path not in bad]
        _require_every_class(root / folders[part], listing, labels, bad)
        splits[part] = Split(images[: len(labels)], torch.tensor(labels))
        images = images[len(labels) :]
    classes = found["train"].classes
    skipped = tuple(f"{_below(root, path)}: {bad[path].problem}" for path in paths if path in bad)
    _log_skipped(skipped, len(paths))
    return Source(classes, splits["train"], splits.get("val"), splits.get("test"), skipped)


def _folders(config: ImageFolderConfig, root: Path) -> dict[str, str]:
    """The name of each part's folder, of those that are there."""
    if not is_folder(root):
        raise ConfigError("data.root", config.root, "there is no such folder")
    if not is_folder(root / config.train_folder):
        problem = f"needs a folder {config.train_folder}/ with one folder a class"
        raise ConfigError("data.root", config.root, problem)
    folders = {"train": config.train_folder}
    for part, name in (("val", config.val_folder), ("test", config.test_folder)):
        if name is not None and is_folder(root / name):
            folders[part] = name
        elif name not in (None, part):
            problem = f"there is no such folder in {root}; null holds images out of train/"
            raise ConfigError(f"data.{part}_folder", name, problem)
    return folders


def _read_squares(
    paths: list[Path], side: int, *, skip: bool
) -> tuple[list[_Square], dict[Path, ConfigError]]:
    """Decode every file, and with `skip` keep apart what cannot be read, by its path."""
    bad: dict[Path, ConfigError] = {}

    def read(path: Path) -> _Square | None:
        try:
            square = decode_or_refuse(path, key="data.root", side=side)
        except ConfigError as error:
            if not skip:
                problem = f"{error.problem}, or leave out such files with data.on_bad_image=skip"
                raise ConfigError(error.key, error.value, problem) from error
            bad[path] = error
            return None
        return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))

    # Pillow decodes outside Python's lock, so threads help.
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, 16)) as pool:
        # Consuming the results raises the first error.
        done = tqdm(pool.map(read, paths), "reading images", len(paths), leave=False, disable=None)
        return [square for square in done if square is not None], bad


def _one_tensor(squares: list[_Square], image_size: int) -> torch.Tensor:
    """uint8 [N, 3, H, W]. Empties `squares` as it goes, so that memory holds them once."""
    sides = {square.shape[1] for square in squares}
    side = sides.pop() if len(sides) == 1 else image_size
    images = np.empty((len(squares), 3, side, side), dtype=np.uint8)
    squares.reverse()
    for index in range(len(images)):
        square = squares.pop()
        if square.shape[1] != side:
            picture = resize_square(Image.fromarray(square.transpose(1, 2, 0)), side)
            square = np.asarray(picture).transpose(2, 0, 1)
        images[index] = square
    return torch.from_numpy(images)


def _require_every_class(
    folder: Path, listing: Listing, labels: list[int], bad: Mapping[Path, ConfigError]
) -> None:
    lost = set(range(len(listing.classes))) - set(labels)
    if lost:
        label = min(lost)
        count = sum(each == label for _, each in listing.samples)
        first = next(path for path, each in listing.samples if each == label)
        problem = f"none of the {count} images in {folder / listing.classes[label]} can be read"
        reason = f"the first, {first.name}, {bad[first].problem}"
        raise ConfigError("data.on_bad_image", "skip", f"{problem}; {reason}")


def _log_skipped(skipped: Sequence[str], total: int) -> None:
    if skipped:
        lines = [f"data.on_bad_image=skip: {len(skipped)} of {total} images are left out"]
        lines += skipped[:_LISTED]
        if len(skipped) > _LISTED:
            lines.append(f"and {len(skipped) - _LISTED} more")
        lines.append("each run keeps the whole list as skipped_images.txt")
        log.warning("\n  ".join(lines))


def _log_left_out(folders: Mapping[str, str], found: Mapping[str, Listing]) -> None:
    """A photo under a name that is not read would else be missed by nobody."""
    for part, listing in found.items():
        if listing.left_out:
            kinds = ", ".join(
                f"{count} {printable(suffix)}" for suffix, count in listing.left_out.most_common(5)
            )
            problem = "left out what is no image by its name or lies in no class folder"
            log.warning("%s/: %s: %s", folders[part], problem, kinds)


def _below(root: Path, path: Path) -> str:
    return printable(os.path.relpath(path, root))
