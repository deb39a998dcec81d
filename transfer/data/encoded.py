"""Pictures that lie in archives as files do in folders, decoded whenever they are asked for."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

from transfer.data.decode import decode_or_refuse, resize_square
from transfer.system.errors import ConfigError, UserError

_HASH_BYTES = 8


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Squares that nobody keeps: each is decoded from its place in an archive, every time.

    Attributes:
        archives: the files.
        archive: int64 [K], the number of the file that holds each picture.
        offsets, sizes: int64 [K], where in it the picture begins, and its bytes.
        hashes: int64 [K], of the content, as `content_hash` gives it.
        side: pixels, the edge of the squares.
        decoded_side: pixels, of the squares that pictures become which are no smaller ones: `side`,
            or more where all are squares of `side`.
        fit, interpolation: as `decode_or_refuse` has them.
    """

    archives: Sequence[Path]
    archive: Tensor
    offsets: Tensor
    sizes: Tensor
    hashes: Tensor
    side: int
    decoded_side: int
    fit: str
    interpolation: str

    @property
    def shape(self) -> torch.Size:
        """[K, 3, H, W], as of a tensor of them."""
        return torch.Size((len(self.hashes), 3, self.side, self.side))

    def take(self, rows: Tensor) -> Tensor:
        """Decode the pictures at `rows` (int64 [M]): uint8 [M, 3, side, side].

        Raises:
            UserError: an archive is gone, or is another by now.
        """
        images = np.empty((len(rows), 3, self.side, self.side), np.uint8)
        for image, row in zip(images, rows.tolist(), strict=True):
            image[:] = self._decode(row)
        return torch.from_numpy(images)

    def content(self, rows: Tensor | None) -> Iterator[bytes | memoryview]:
        """What decides the levels of the pictures at `rows`, or of all."""
        how = (self.side, self.decoded_side, self.fit, self.interpolation, PIL.__version__)
        yield str(how).encode()
        hashes = self.hashes if rows is None else self.hashes[rows]
        yield hashes.contiguous().numpy().data

    def _decode(self, row: int) -> np.ndarray:
        path = self.archives[int(self.archive[row])]
        content = read_at(path, int(self.offsets[row]), int(self.sizes[row]))
        if content_hash(content) != int(self.hashes[row]):
            _refuse_changed(path)
        try:
            picture = decode_or_refuse(
                path,
                key="data.root",
                content=content,
                side=self.decoded_side,
                fit=self.fit,
                interpolation=self.interpolation,
            )
        except ConfigError as error:
            # The same bytes were decoded when they were listed.
            raise UserError(str(error)) from error
        if picture.size != (self.side, self.side):
            picture = resize_square(picture, self.side)
        return np.asarray(picture).transpose(2, 0, 1)


def read_at(path: Path, offset: int, size: int) -> bytes:
    """So many bytes of a file.

    Raises:
        UserError: it cannot be read, or ends before them.
    """
    # Opened each time: sets have more files than a process may keep open.
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            content = file.read(size)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    if len(content) != size:
        _refuse_changed(path)
    return content


def content_hash(content: bytes) -> int:
    """A hash of 64 bits, as int64 has them."""
    return _as_number(hashlib.blake2b(content, digest_size=_HASH_BYTES).digest())


def file_hash(path: Path) -> int:
    """`content_hash` of a file; read in pieces, for it may have a gigabyte."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=_HASH_BYTES))
    return _as_number(digest.digest())


def _as_number(digest: bytes) -> int:
    return int.from_bytes(digest, "little", signed=True)


def _refuse_changed(path: Path) -> None:
    problem = "is not what it was when its pictures were listed; leave it as it is while jobs run"
    raise UserError(f"{path} {problem}, and start again")
