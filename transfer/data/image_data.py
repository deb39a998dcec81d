"""The one form that every data set takes in memory."""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from transfer.data.channels import channel_statistics
from transfer.data.encoded import EncodedImages
from transfer.data.split import with_groups
from transfer.system.bars import bar
from transfer.system.digest import hex_digest
from transfer.system.prefetch import ordered_prefetch

# What is hashed or counted at a time: a split may be larger than the memory.
_PIECE_BYTES = 16 * 10**6


@dataclass(frozen=True)
class Split:
    """Some images with their labels.

    Attributes:
        stored: uint8 [K, 3, H, W], 0 to 255, in red, green, blue: the split's images, or more than
            those. Perhaps a mapped file, which must not be written to, or pictures that are decoded
            when they are taken.
        labels: int64 [N], 0 to the number of classes - 1.
        rows: int64 [N], where in `stored` each image is; None: they are all of it, in its order.
        files: int64 [N], a hash of each image's file, whatever size it is decoded at; None where
            images have no files of their own.
        names: uint8 [B], UTF-8: the names of the files of all that is stored, relative to
            `data.root`, with a zero byte between two; None where images have no files.
        sums: int64 [N, 2, 3], of each image's channels the sum of the levels and that of their
            squares; None where nobody has added them up yet.
        thumbnails: uint8 [N, 64], each image as 8x8 grey levels; None where images have no files.
        shards: int64 [N], the number of the shard that holds each image; None where there are none.
    """

    stored: Tensor | EncodedImages
    labels: Tensor
    rows: Tensor | None = None
    files: Tensor | None = None
    names: Tensor | None = None
    sums: Tensor | None = None
    thumbnails: Tensor | None = None
    shards: Tensor | None = None

    def __post_init__(self) -> None:
        assert isinstance(self.stored, EncodedImages) or self.stored.dtype == torch.uint8
        assert len(self.stored.shape) == 4 and self.stored.shape[1] == 3
        assert len(self.labels) == (self.stored.shape[0] if self.rows is None else len(self.rows))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> Tensor:
        """uint8 [N, 3, H, W], in memory as a whole; a copy, unless they are all that is stored."""
        if self.rows is None and isinstance(self.stored, Tensor):
            return self.stored
        return self.in_memory().images if self.is_encoded else self.take(torch.arange(len(self)))

    @property
    def is_encoded(self) -> bool:
        """Whether images are decoded when they are taken, which costs much more than copying."""
        return isinstance(self.stored, EncodedImages)

    @property
    def nbytes(self) -> int:
        """What the images take."""
        return len(self) * self.stored.shape[1:].numel()

    @cached_property
    def digest(self) -> str:
        """Content hash of the images, in their order: 16 hexadecimal digits."""
        return hex_digest(self.content())

    def content(self) -> Iterator[bytes | memoryview]:
        """What a hash of the images is taken of: their shape and their levels; of those that are
        decoded when they are taken, what decides the levels."""
        yield str((len(self), *self.stored.shape[1:])).encode()
        if isinstance(self.stored, EncodedImages):
            # To decode them all would take as long as an epoch.
            yield from self.stored.content(self.rows)
            return
        for piece in self.pieces():
            yield piece.numpy().data

    def take(self, indices: Tensor) -> Tensor:
        """A copy of the images at `indices` (int64 [M], on the CPU): uint8 [M, 3, H, W]."""
        rows = indices if self.rows is None else self.rows[indices]
        if isinstance(self.stored, EncodedImages):
            return self.stored.take(rows)
        # numpy's is many times faster than torch's indexing here, releases Python's lock, and
        # leaves the cores alone that torch's own threads compute on.
        return torch.from_numpy(np.take(self.stored.numpy(), rows.numpy(), axis=0))

    def file_names(self, indices: Tensor) -> list[str] | None:
        """The names of the files at `indices` (int64 [M]); None where images have none."""
        if self.names is None:
            return None
        rows = indices if self.rows is None else self.rows[indices]
        # As one text until somebody asks, and of that only what is asked for: a million strings
        # would take 100 MB.
        text = self.names.numpy()
        bounds = np.concatenate([[-1], np.flatnonzero(text == 0), [len(text)]])
        return [bytes(text[bounds[row] + 1 : bounds[row + 1]]).decode() for row in rows.tolist()]

    def pieces(self) -> Iterator[Tensor]:
        """Copies of all images in their order, 16 MB at a time, or one image where that is more."""
        each = self.stored.shape[1:].numel()
        if not self.is_encoded:
            count = max(1, _PIECE_BYTES // each)
            yield from map(self.take, torch.arange(len(self)).split(count))
            return
        threads = decoding_threads()
        count = max(1, _PIECE_BYTES // (2 * threads * each))
        parts = torch.arange(len(self)).split(count)
        with closing(ordered_prefetch(self.take, parts, threads=threads, ahead=threads)) as taken:
            yield from bar(taken, desc="decoding images", total=len(parts))

    def subset(self, indices: Tensor) -> Self:
        """The images at `indices` (int64 [M]), in that order. Copies none of them."""
        rows = indices if self.rows is None else self.rows[indices]

        def chosen(each: Tensor | None) -> Tensor | None:
            return None if each is None else each[indices]

        return replace(
            self,
            labels=self.labels[indices],
            rows=rows,
            files=chosen(self.files),
            sums=chosen(self.sums),
            thumbnails=chosen(self.thumbnails),
            shards=chosen(self.shards),
        )

    def in_memory(self) -> Self:
        """The same with the images, and no others, copied into memory."""
        names = pack_names(self.file_names(torch.arange(len(self))))
        images = torch.empty((len(self), *self.stored.shape[1:]), dtype=torch.uint8)
        done = 0
        for piece in self.pieces():
            images[done : done + len(piece)] = piece
            done += len(piece)
        return replace(self, stored=images, rows=None, names=names)

    def channel_sums(self) -> Tensor:
        """`sums`; a pass over the images where nobody has added them up yet."""
        if self.sums is not None:
            return self.sums
        # Made as a whole: what is kept of each piece would lie between the pieces, and memory would
        # grow with their number as if none of them were freed.
        sums, done = np.empty((len(self), 2, 3), np.int64), 0
        for piece in self.pieces():
            # numpy's, for torch's threads cost more than they bring on so few pixels.
            channels, end = piece.flatten(2).numpy(), done + len(piece)
            sums[done:end, 0] = channels.sum(2, dtype=np.int64)
            sums[done:end, 1] = (channels.astype(np.uint16) ** 2).sum(2, dtype=np.int64)
            done = end
        return torch.from_numpy(sums)


def decoding_threads() -> int:
    """How many threads decode: Pillow does it outside Python's lock."""
    return min(os.cpu_count() or 1, 16)


def pack_names(names: Sequence[str] | None) -> Tensor | None:
    """Names of files as `Split.names` has them."""
    return (
        None
        if names is None
        else torch.from_numpy(np.frombuffer("\0".join(names).encode(), np.uint8).copy())
    )


@dataclass(frozen=True)
class Source:
    """A data set as its files have it; a split that it does not bring is None.

    Attributes:
        skipped: a line for each file that `data.on_bad_image=skip` left out: its name and why.
        remarks: what whoever uses the set should hear, such as what was left out.
        known_digest: `digest`, where somebody has computed it.
    """

    classes: tuple[str, ...]
    train: Split
    val: Split | None = None
    test: Split | None = None
    skipped: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    known_digest: str | None = None

    @cached_property
    def digest(self) -> str:
        """Content hash of what the set holds, not of where it lies: 16 hexadecimal digits."""
        return self.known_digest or self.content_digest

    @cached_property
    def content_digest(self) -> str:
        """Content hash of all images, decoded, their labels and class names."""
        return hex_digest(self._content())

    @cached_property
    def files_digest(self) -> str:
        """The same for every way in which pictures in files can be kept, and split: a hash of the
        files' contents and the class names; of images that have no files, `digest`."""
        files = [split.files for split in self.splits.values() if split.files is not None]
        if not files:
            return self.digest
        every = torch.cat(files).sort().values.numpy().data
        return hex_digest(["\n".join(self.classes).encode(), every])

    def _content(self) -> Iterator[bytes | memoryview]:
        yield "\n".join(self.classes).encode()
        for split in (self.train, self.val, self.test):
            if split is None:
                yield b"absent"
            else:
                yield from split.content()
                yield split.labels.contiguous().numpy().data

    @property
    def splits(self) -> dict[str, Split]:
        """Those that it brings, by name; train, val, test."""
        found = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in found.items() if split is not None}

    @property
    def nbytes(self) -> int:
        """What all images take."""
        return sum(split.nbytes for split in self.splits.values())


@dataclass(frozen=True)
class ImageData:
    """A data set ready for a run: three splits, and what identifies them.

    Attributes:
        digest: content hash of all images, labels and class names, 16 hexadecimal digits.
        files_digest: as in `Source`.
        pool: all images from which the test set was drawn, and what else there is no folder of;
            None where the set brings its test set.
        skipped: as in `Source`.
        resident: whether the images lie on the training device as a whole, or are streamed to it.
        shared_images: how many files of the test split are, byte for byte, among the training or
            validation images, too.
        groups: int64 [N], where whole shards were held out, each pool image's shard, numbered in
            order; part of `digest` and `pool_digest`. None where images were drawn one by one.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    digest: str
    files_digest: str
    pool: Split | None = None
    skipped: tuple[str, ...] = ()
    resident: bool = True
    shared_images: int = 0
    groups: Tensor | None = None

    @cached_property
    def channel_statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std of each channel of the training images, on a scale of 0 to 1."""
        return channel_statistics(self.train)

    @cached_property
    def test_digest(self) -> str:
        """Content hash of the test images and labels, 16 hexadecimal digits: accuracies on other
        images cannot be compared. Of pictures in files the same for every `image_size`."""
        return _images_digest(self.classes, self.test)

    @cached_property
    def pool_digest(self) -> str | None:
        """The same of `pool`, whatever was drawn of it: of runs that share it, those with the same
        fold, or fraction, and data seed tested on the same images."""
        if self.pool is None:
            return None
        return with_groups(_images_digest(self.classes, self.pool), self.groups)


def _images_digest(classes: tuple[str, ...], split: Split) -> str:
    """Content hash of some images, in their order, and their labels."""
    if split.files is None:
        return Source(classes, split).digest
    content = (each.contiguous().numpy().data for each in (split.files, split.labels))
    return hex_digest(["\n".join(classes).encode(), *content])
