"""Your own images: one folder a class."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePath

import numpy as np
import torch

from transfer.config.schema import ImageFolderConfig
from transfer.data.class_folders import (
    Listing,
    as_read,
    list_images,
    require_same_classes,
    some,
)
from transfer.data.copies import thumbnails, two_classes_lines
from transfer.data.decode import decode_or_refuse
from transfer.data.encoded import file_hash
from transfer.data.image_buffer import ImageBuffer, Pixels
from transfer.data.image_data import Source, Split, decoding_threads, pack_names
from transfer.data.other_kinds import left_out_text
from transfer.data.part_folders import folder_root, no_classes, part_folders, unused_lines
from transfer.system.bars import bar
from transfer.system.errors import ConfigError, printable
from transfer.system.prefetch import ordered_prefetch

_LISTED = 10
# A share of the area that is not worth a line.
_NEGLIGIBLE = 0.02


def read_image_folder(
    config: ImageFolderConfig, side: int, file: Path, interpolation: str = "bilinear"
) -> Source:
    """Decode `data.root`'s train folder, and its validation and test folders where they exist, as
    `part_folders` finds them.

    Square images of one size up to `side` pixels are kept as they are. Else each image becomes a
    square of `side`, as `data.fit` and `interpolation` have it: their bytes then depend on `side`,
    not on the camera. More than `data.resident_gb` of them go into `file`.

    With `data.on_bad_image=skip` the result is that of a folder without the files that cannot be
    read; they are named in `Source.skipped`.

    Raises:
        ConfigError: a folder is missing, empty or of one class; the splits' classes differ; a
            file cannot be read; of those skipped, one was the last of its class; or the images
            need a file, which cannot be written.
    """
    root, folders = folder_root(config), part_folders(config)
    found = dict(_list_parts(root, folders))
    require_same_classes(root, folders, found)
    paths = [path for listing in found.values() for path, _ in listing.samples]
    buffer = ImageBuffer(file, len(paths), side, config.resident_gb)
    hashes, bad, cut_off = _read_into(buffer, paths, side, config, interpolation)
    images = buffer.images()
    splits = {}
    for part, listing in found.items():
        labels = [label for path, label in listing.samples if path not in bad]
        good = [path for path, _ in listing.samples if path not in bad]
        names = list(_names_of(good, root / folders[part], folders[part]))
        _require_every_class(root / folders[part], listing, labels, bad)
        count = len(labels)
        splits[part] = Split(
            images[:count],
            torch.tensor(labels),
            files=hashes[:count],
            names=pack_names(names),
        )
        images, hashes = images[count:], hashes[count:]
    splits = {part: replace(split, thumbnails=thumbnails(split)) for part, split in splits.items()}
    skipped = tuple(
        f"{printable(os.path.relpath(path, root))}: {bad[path].problem}"
        for path in paths
        if path in bad
    )
    remarks = (
        *unused_lines(config, folders),
        *_twin_lines(found["train"].classes),
        *_left_out_lines(config, folders, found),
        *skipped_lines(skipped, len(paths)),
        *cut_off_line(config.fit, cut_off),
        *two_classes_lines(list(splits.values())),
    )
    return Source(
        found["train"].classes,
        splits["train"],
        splits.get("val"),
        splits.get("test"),
        skipped,
        remarks,
    )


def _list_parts(root: Path, folders: dict[str, str]) -> Iterator[tuple[str, Listing]]:
    elsewhere = no_classes(root, folders)
    for part, name in folders.items():
        try:
            yield part, list_images(root / name, elsewhere if part == "train" else ())
        except ConfigError as error:
            if part == "train":
                raise
            otherwise = f"data.{part}_folder=null holds images out of {folders['train']}/ instead"
            raise ConfigError(error.key, error.value, f"{error.problem}; {otherwise}") from error


def _names_of(paths: Iterable[Path], around: Path, folder: str) -> Iterator[str]:
    """What files are called in results, which others may read: not where this machine has them.

    Args:
        around: the folder that they are below.
        folder: what that is called on the command line.
    """
    top = PurePath(folder)
    if top.is_absolute() or ".." in top.parts:
        top = PurePath(top.name)
    start = "" if top == PurePath() else f"{top.as_posix()}/"
    # A path takes many times as long as its text, and there may be a million.
    left_out = 0 if around == Path() else len(around.as_posix().rstrip("/")) + 1
    for path in paths:
        yield printable(f"{start}{path.as_posix()[left_out:]}")


def _read_into(
    buffer: ImageBuffer,
    paths: list[Path],
    side: int,
    config: ImageFolderConfig,
    interpolation: str,
) -> tuple[torch.Tensor, dict[Path, ConfigError], float]:
    """Decode every file, in order.

    Returns:
        A hash of each file, int64 [N]; with `data.on_bad_image=skip`, what cannot be read, by its
        path; and the share of a picture's area that lies outside its central square, on average.
    """
    bad: dict[Path, ConfigError] = {}
    hashes: list[int] = []
    outside: list[float] = []

    def read(path: Path) -> tuple[Pixels, int, float] | None:
        try:
            image = decode_or_refuse(
                path, key="data.root", side=side, fit=config.fit, interpolation=interpolation
            )
        except ConfigError as error:
            if config.on_bad_image != "skip":
                problem = f"{error.problem}, or leave out such files with data.on_bad_image=skip"
                raise ConfigError(error.key, error.value, problem) from error
            bad[path] = error
            return None
        pixels = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
        shape = image.info["shape"]
        return pixels, file_hash(path), 1 - min(shape) / max(shape)

    threads = decoding_threads()
    with closing(ordered_prefetch(read, paths, threads=threads, ahead=4 * threads)) as done:
        for each in bar(done, desc="reading images", total=len(paths)):
            if each is not None:
                buffer.append(each[0])
                hashes.append(each[1])
                outside.append(each[2])
    mean_outside = sum(outside) / max(len(outside), 1)
    return torch.tensor(hashes, dtype=torch.int64), bad, mean_outside


def _require_every_class(
    folder: Path, listing: Listing, labels: list[int], bad: Mapping[Path, ConfigError]
) -> None:
    for label in sorted(set(range(len(listing.classes))) - set(labels)):
        paths = [path for path, each in listing.samples if each == label]
        name = folder / listing.classes[label]
        problem = f"none of the {len(paths)} images in {name} can be read"
        reason = f"the first, {paths[0].name}, {bad[paths[0]].problem}"
        raise ConfigError("data.on_bad_image", "skip", f"{problem}; {reason}")


def skipped_lines(skipped: Sequence[str], total: int) -> Iterator[str]:
    """What `data.on_bad_image=skip` left out of so many images."""
    if skipped:
        are = "is" if len(skipped) == 1 else "are"
        lines = [f"data.on_bad_image=skip: {len(skipped)} of {total} images {are} left out"]
        lines += skipped[:_LISTED]
        if len(skipped) > _LISTED:
            lines.append(f"and {len(skipped) - _LISTED} more")
        lines.append("each run keeps the whole list as skipped_images.txt")
        yield "\n  ".join(lines)


def cut_off_line(fit: str, share: float) -> Iterator[str]:
    """What is outside the central square may be what a picture shows."""
    if fit == "crop" and share >= _NEGLIGIBLE:
        kept = "data.fit=squash or data.fit=pad keeps all of it"
        yield f"data.fit=crop: {share:.0%} of the pictures' area is cut off, on average; {kept}"


def _twin_lines(classes: Sequence[str]) -> Iterator[str]:
    """Letters come in two cases; else a folder was most likely named twice."""
    sorts = groupby(sorted(classes, key=as_read), key=as_read)
    if twins := [" and ".join(names) for _, each in sorts if len(names := list(each)) > 1]:
        remedy = "put their images into one folder if they are one class"
        yield f"classes that differ in case or accents alone: {some(twins)}; {remedy}"


def _left_out_lines(
    config: ImageFolderConfig, folders: Mapping[str, str], found: Mapping[str, Listing]
) -> Iterator[str]:
    """A photo under a name that is not read would else be missed by nobody."""
    for part, listing in found.items():
        if listing.left_out:
            folder = config.root if folders[part] == "." else f"{folders[part]}/"
            problem = "left out what is no image by its name or lies in no class folder"
            yield f"{folder}: {problem}: {left_out_text(listing.left_out)}"
