"""Mean and standard deviation of the channels of some images."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from torch import Tensor

from transfer.system.cache import disk_cache

if TYPE_CHECKING:
    from transfer.data.image_data import Split


def channel_statistics(split: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, on a scale of 0 to 1."""
    total = len(split) * split.stored.shape[2:].numel()

    def add_up() -> dict[str, Tensor]:
        return {"sums": split.channel_sums().sum(0)}

    # Decoding them all takes as long as an epoch, and a preview needs it, too.
    cached = split.is_encoded
    sums = disk_cache().tensors("channels", split.digest, add_up) if cached else add_up()
    means, stds = [], []
    for levels, squares in sums["sums"].T.tolist():
        # In whole numbers, and so the same on every machine: sums of floats are taken in an order
        # that depends on the processor.
        variance = Fraction(total * squares - levels**2, (255 * total) ** 2)
        means.append(float(Fraction(levels, 255 * total)))
        # A constant channel (all black, say) must not divide by zero.
        stds.append(max(math.sqrt(variance), 1e-3))
    return tuple(means), tuple(stds)
