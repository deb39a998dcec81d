"""A split on the device, handed out in batches."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from transfer.data.image_data import Split


def training_batches(images: int, batch_size: int) -> int:
    """How many batches an epoch of so many training images has."""
    # A last batch of one image would stop BatchNorm, which needs a variance.
    return math.ceil(images / batch_size) - (images % batch_size == 1)


class Batches:
    """Batches of one split, which lies on the device as a whole.

    Args:
        split: the images and labels.
        batch_size: images a batch; the last batch of an epoch may be smaller.
        device: where the split is kept and the batches are.
    """

    def __init__(self, split: Split, batch_size: int, device: torch.device) -> None:
        self.images = split.images.to(device)
        self.labels = split.labels.to(device)
        self.batch_size = batch_size

    def with_inputs(self, inputs: Tensor) -> Batches:
        """The same labels with other inputs [N, …], on the device, such as features."""
        other = copy.copy(self)
        other.images = inputs
        return other

    def __len__(self) -> int:
        """How many batches `in_order` gives."""
        return math.ceil(len(self.labels) / self.batch_size)

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in the split's order: uint8 [B, 3, H, W] and int64 [B]."""
        yield from zip(
            self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True
        )

    def training_batches(self) -> int:
        """How many batches `shuffled` gives."""
        return training_batches(len(self.labels), self.batch_size)

    def shuffled(
        self, generator: torch.Generator, skip: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in an order drawn from `generator` (a CPU generator, so that the
        order is the same on every device); a last batch of a single image is left out.

        Args:
            generator: drawn from now, and not when the first batch is asked for.
            skip: leave out so many batches at the start.
        """
        order = torch.randperm(len(self.labels), generator=generator).to(self.labels.device)
        batches = order.split(self.batch_size)[skip : self.training_batches()]
        return ((self.images[indices], self.labels[indices]) for indices in batches)
