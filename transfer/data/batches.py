"""A split handed out in batches on the device, where it lies as a whole or is streamed to."""

import copy
import math
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Self

import torch
from torch import Tensor

from transfer.data.image_data import Split, decoding_threads
from transfer.system.prefetch import ordered_prefetch

Batch = tuple[Tensor, Tensor]

# Of a streamed split. Several threads keep a disk busy; copying alone would need only one.
_THREADS = 4
_AHEAD = 4


def training_batches(images: int, batch_size: int) -> int:
    """How many batches an epoch of so many training images has."""
    # A last batch of one image would stop BatchNorm, which needs a variance.
    return math.ceil(images / batch_size) - (images % batch_size == 1)


class Batches:
    """Batches of one split, the same ones whether it is resident or streamed.

    Close the generators that are not used up: of a streamed split they hold threads.

    Args:
        split: the images and labels.
        batch_size: images a batch; the last batch of an epoch may be smaller.
        device: where the batches are.
        resident: on a GPU, the split is copied there as a whole, at its first batch; on a CPU, each
            batch is taken from where it is stored, in memory. Else threads do that, a few batches
            ahead.
    """

    def __init__(
        self, split: Split, batch_size: int, device: torch.device, *, resident: bool
    ) -> None:
        self.labels = split.labels.to(device)
        self.batch_size = batch_size
        self._split = split
        self._resident = resident
        # On a CPU it stays where it is: other splits of the data set are in the same tensor.
        self._copied = resident and device.type != "cpu"
        self._inputs: Tensor | None = None

    def with_inputs(self, inputs: Tensor) -> Self:
        """The same labels with other inputs [N, …], on the device, such as features."""
        other = copy.copy(self)
        other._inputs = inputs
        return other

    def in_order(self) -> Generator[Batch, None, None]:
        """Every image once, in the split's order: uint8 [B, 3, H, W] and int64 [B]."""
        return self._batches(torch.arange(len(self.labels)), slice(None))

    def training_batches(self) -> int:
        """How many batches `shuffled` gives."""
        return training_batches(len(self.labels), self.batch_size)

    def shuffled(self, generator: torch.Generator, skip: int = 0) -> Generator[Batch, None, None]:
        """Every image once, in an order drawn from `generator` (a CPU generator, so that the
        order is the same on every device); a last batch of a single image is left out.

        Args:
            generator: drawn from now, and not when the first batch is asked for.
            skip: leave out so many batches at the start.
        """
        order = torch.randperm(len(self.labels), generator=generator)
        return self._batches(order, slice(skip, self.training_batches()))

    def _batches(self, order: Tensor, chosen: slice) -> Generator[Batch, None, None]:
        # Not before it is needed: whoever trains on features alone never does.
        if self._inputs is None and self._copied:
            self._inputs = self._split.images.to(self.labels.device)
        if self._inputs is not None:
            for each in order.to(self._inputs.device).split(self.batch_size)[chosen]:
                yield self._inputs.index_select(0, each), self.labels[each]
        elif self._resident:
            for each in order.split(self.batch_size)[chosen]:
                yield self._split.take(each), self.labels[each]
        else:
            yield from self._stream(order.split(self.batch_size)[chosen])

    def _stream(self, batches: Sequence[Tensor]) -> Generator[Batch, None, None]:
        """Take each batch (int64 [B], on the CPU) from the split, ahead of its use.

        In threads, not in the processes of torch's DataLoader: those would copy each batch into
        shared memory and read it from there, and taking images keeps no lock of Python's.
        """
        device, pinned = self.labels.device, self.labels.is_cuda

        def take(indices: Tensor) -> Batch:
            images, labels = self._split.take(indices), self._split.labels[indices]
            # From pinned memory a GPU copies while it, and Python, do something else.
            return (images.pin_memory(), labels.pin_memory()) if pinned else (images, labels)

        threads, ahead = _THREADS, _AHEAD
        if self._split.is_encoded:
            threads = ahead = max(_THREADS, decoding_threads())
        with closing(ordered_prefetch(take, batches, threads=threads, ahead=ahead)) as taken:
            for images, labels in taken:
                yield (
                    images.to(device, non_blocking=pinned),
                    labels.to(device, non_blocking=pinned),
                )
