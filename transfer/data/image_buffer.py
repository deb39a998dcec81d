"""Decoded images on their way into one tensor, in memory or in a file."""

import errno
import math
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from transfer.data.decode import resize_square
from transfer.system.cache import cache_folder
from transfer.system.errors import ConfigError

Pixels = npt.NDArray[np.uint8]  # [3, side, side]


class ImageBuffer:
    """Square images that become one tensor: as they are if all have one side, else of `image_size`.

    Args:
        path: the file for those that are too many for the memory; is made only for these.
        most: how many come at most.
        image_size: pixels, the largest side that comes.
        resident_gb: in units of 10^9 bytes; more goes into the file, and little is in memory.
    """

    def __init__(self, path: Path, most: int, image_size: int, resident_gb: float) -> None:
        self._path = path
        self._most = most
        self._image_size = image_size
        self._resident_gb = resident_gb
        self._side = 0
        self._count = 0
        self._array: Pixels | None = np.empty((0, 3, image_size, image_size), np.uint8)
        self._file: BinaryIO | None = None

    def append(self, image: Pixels) -> None:
        """Add an image, contiguous.

        Raises:
            ConfigError: the file cannot be written.
        """
        side = image.shape[1]
        with self._file_explained():
            if self._side == 0:
                self._begin(side)
            elif side != self._side != self._image_size:
                self._enlarge()
            self._put(self._count, image)
        self._count += 1

    def images(self) -> Tensor:
        """What was added: uint8 [N, 3, side, side]; of a file, a map for reading."""
        if self._file is None:
            assert self._array is not None
            return torch.from_numpy(self._array[: self._count])
        with self._file_explained():
            self._file.close()
        return map_images(self._path, (self._count, 3, self._side, self._side))

    def _begin(self, side: int) -> None:
        self._side = side
        if self._most * 3 * side**2 <= self._resident_gb * 10**9:
            self._array = np.empty((self._most, 3, side, side), np.uint8)
            return
        self._array = None
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._require_room()
        if self._file is None:
            # Open until all images are there, so in no `with`.
            self._file = self._path.open("w+b")

    def _require_room(self) -> None:
        """Raise OSError where not all images would have room on the disk: that would be found out
        after hours of decoding."""
        there = 0 if self._file is None else self._path.stat().st_size
        if self._most * 3 * self._side**2 > shutil.disk_usage(self._path.parent).free + there:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _enlarge(self) -> None:
        """Bring what is there to `image_size`, in the same file if it is in one."""
        former, side = self._array, self._side
        self._begin(self._image_size)
        # From the last on: in a file, an image takes the room of smaller ones that are done.
        for index in reversed(range(self._count)):
            self._put(index, self._read(index, side) if former is None else former[index])

    def _put(self, index: int, image: Pixels) -> None:
        if image.shape[1] != self._side:
            picture = resize_square(Image.fromarray(image.transpose(1, 2, 0)), self._side)
            image = np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))
        if self._array is not None:
            self._array[index] = image
            return
        assert self._file is not None
        # Written, not stored through a map: there, a full disk would kill the process.
        self._file.seek(index * image.nbytes)
        self._file.write(image.data)

    def _read(self, index: int, side: int) -> Pixels:
        assert self._file is not None
        self._file.seek(index * 3 * side**2)
        return np.frombuffer(self._file.read(3 * side**2), np.uint8).reshape(3, side, side)

    @contextmanager
    def _file_explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            gigabytes = self._most * 3 * self._side**2 / 10**9
            problem = (
                f"{self._most:,} decoded images of {self._side} px are more, {gigabytes:,.2f} GB, "
                f"and are streamed from {cache_folder()}, which cannot be written "
                f"({error.strerror}); make room there for as much, name another folder with "
                f"TRANSFER_CACHE, or keep them in memory with data.resident_gb="
                f"{math.ceil(gigabytes)}"
            )
            raise ConfigError("data.resident_gb", f"{self._resident_gb:g}", problem) from error


def map_images(path: Path, shape: Sequence[int]) -> Tensor:
    """The levels (uint8) in a file, mapped for reading: its pages are read when they are asked for,
    the kernel may drop them at any time, and to write to them kills the process.

    Raises:
        OSError: the file is missing.
        ValueError: it holds less than `shape`.
        MemoryError: so much cannot be mapped.
    """
    try:
        array = np.memmap(path, np.uint8, "r", shape=tuple(shape))
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError(f"{path} cannot be mapped") from error
        raise
    with warnings.catch_warnings():
        # torch has no tensors that cannot be written to, and says so.
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)
