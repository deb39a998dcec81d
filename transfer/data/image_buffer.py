"""Decoded pictures on their way into one tensor, in memory or on disk."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from transfer.data.decode import resize_square
from transfer.system.cache import cache_folder
from transfer.system.errors import ConfigError

Square = npt.NDArray[np.uint8]  # [3, side, side]


class ImageBuffer:
    """ImageBuffer that become one tensor: as they are if all have one side, else of `image_size`.

    Args:
        most: how many come at most.
        image_size: pixels, the largest side that comes.
        resident_gb: in units of 10^9 bytes; more is kept in a file, of which little is in memory.
    """

    def __init__(self, most: int, image_size: int, resident_gb: float) -> None:
        self._most = most
        self._image_size = image_size
        self._resident_gb = resident_gb
        self._side = 0
        self._store: _Store = _Memory(0, image_size)

    def append(self, square: Square) -> None:
        """Add a square, contiguous.

        Raises:
            ConfigError: the file cannot be written.
        """
        side = square.shape[1]
        if self._side == 0:
            self._begin(side)
        elif side != self._side != self._image_size:
            former = self._store.squares()
            self._begin(self._image_size)
            for each in former:
                self._add(each)
        self._add(square)

    def images(self) -> Tensor:
        """What was added: uint8 [N, 3, side, side]; in a file that goes when the tensor goes."""
        return torch.from_numpy(self._store.squares())

    def _begin(self, side: int) -> None:
        self._side = side
        if self._most * 3 * side**2 <= self._resident_gb * 10**9:
            self._store = _Memory(self._most, side)
            return
        with self._file_explained():
            self._store = _File(side)

    def _add(self, square: Square) -> None:
        if square.shape[1] != self._side:
            picture = resize_square(Image.fromarray(square.transpose(1, 2, 0)), self._side)
            square = np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))
        with self._file_explained():
            self._store.append(square)

    @contextmanager
    def _file_explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            gigabytes = self._most * 3 * self._side**2 / 10**9
            problem = (
                f"{self._most:,} decoded images of {self._side} px are more, {gigabytes:,.2f} GB, "
                f"and are streamed from {cache_folder()}, which cannot be written "
                f"({error.strerror}); make room there for twice as much, name another folder with "
                f"TRANSFER_CACHE, or keep them in memory with data.resident_gb="
                f"{math.ceil(gigabytes)}"
            )
            raise ConfigError("data.resident_gb", f"{self._resident_gb:g}", problem) from error


class _Store(Protocol):
    def append(self, square: Square) -> None: ...

    def squares(self) -> Square: ...


class _Memory:
    def __init__(self, most: int, side: int) -> None:
        self._array = np.empty((most, 3, side, side), np.uint8)
        self._count = 0

    def append(self, square: Square) -> None:
        self._array[self._count] = square
        self._count += 1

    def squares(self) -> Square:
        return self._array[: self._count]


class _File:
    """A file without a name beside the cache's: it is gone when nobody uses it, or after a kill."""

    def __init__(self, side: int) -> None:
        cache_folder().mkdir(parents=True, exist_ok=True)
        # Open for as long as this object lives, so in no `with`.
        self._file = tempfile.TemporaryFile(dir=cache_folder())  # noqa: SIM115
        self._side = side
        self._count = 0

    def append(self, square: Square) -> None:
        # Written, not stored through a map: there, a full disk would kill the process.
        self._file.write(square.data)
        self._count += 1

    def squares(self) -> Square:
        self._file.flush()
        shape = (self._count, 3, self._side, self._side)
        return np.memmap(self._file, np.uint8, "r+", shape=shape)
