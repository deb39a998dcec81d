"""The one form that every data set takes in memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Some images with their labels.

    Attributes:
        images: uint8 [N, 3, H, W], 0 to 255, in red, green, blue.
        labels: int64 [N], 0 to the number of classes - 1.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        assert self.images.dtype == torch.uint8 and self.images.ndim == 4
        assert self.images.shape[1] == 3 and len(self.images) == len(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def digest(self) -> str:
        """Content hash of the images, in their order: 16 hexadecimal digits."""
        digest = hashlib.sha256(str(tuple(self.images.shape)).encode())
        digest.update(self.images.contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def subset(self, indices: Tensor) -> Split:
        """The images at `indices` (int64 [M]), in that order."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Source:
    """A data set as its files have it; a split that it does not bring is None.

    Attributes:
        skipped: a line for each file that `data.on_bad_image=skip` left out: its name and why.
    """

    classes: tuple[str, ...]
    train: Split
    val: Split | None = None
    test: Split | None = None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageData:
    """A data set ready for a run: three splits, and what identifies and normalises them.

    Attributes:
        digest: content hash of all images, labels and class names, 16 hexadecimal digits.
        mean, std: of each channel, on a scale of 0 to 1.
        skipped: as in `Source`.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    digest: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    skipped: tuple[str, ...] = ()

    @cached_property
    def test_digest(self) -> str:
        """Content hash of the test images and labels, 16 hexadecimal digits: accuracies on other
        images cannot be compared."""
        return content_digest(Source(self.classes, self.test))


def content_digest(source: Source) -> str:
    """Hash what the data set holds, not where it lies: 16 hexadecimal digits."""
    digest = hashlib.sha256("\n".join(source.classes).encode())
    for split in (source.train, source.val, source.test):
        if split is None:
            digest.update(b"absent")
            continue
        digest.update(str(tuple(split.images.shape)).encode())
        digest.update(split.images.contiguous().numpy().data)
        digest.update(split.labels.contiguous().numpy().data)
    return digest.hexdigest()[:16]


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 [N, 3, H, W], on a scale of 0 to 1."""
    # Exact in integers, and from 256 counts a channel rather than a float copy of the images.
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in range(images.shape[1]):
        counts = torch.bincount(images[:, channel].flatten(), minlength=256).double()
        mean = (counts @ levels / counts.sum()).item()
        variance = (counts @ (levels - mean) ** 2 / counts.sum()).item()
        means.append(mean)
        # A constant channel (all black, say) must not divide by zero.
        stds.append(max(variance**0.5, 1e-3))
    return tuple(means), tuple(stds)
