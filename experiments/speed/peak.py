"""What the machine can do: the rate of a large matrix product, which no training step exceeds."""

import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.speed.timing import CLOCKS
from transfer.system.device import synchronize

_SECONDS = 2.0
# Enough for the products that replace convolutions on small maps.
_COUNTED_BATCH = 32


def matrix_product_peak(device: torch.device, dtype: torch.dtype, clock: str = "wall") -> float:
    """The best rate of products of two square matrices in two seconds, in operations a second."""
    now = CLOCKS[clock]
    size = 8192 if device.type == "cuda" else 2048
    one, other = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < _SECONDS:
        start = now()
        one @ other
        synchronize(device)
        best = min(best, now() - start)
    return 2 * size**3 / best


def step_operations(model: nn.Module, image_size: int, device: torch.device) -> float:
    """Operations of a training step for one image, as they are done: forwards and backwards.

    What small maps save of the padding is not counted, so this is less than six times the MACs.
    """
    model.train().to(device)
    images = torch.zeros(_COUNTED_BATCH, 3, image_size, image_size, device=device)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    return counter.get_total_flops() / _COUNTED_BATCH
