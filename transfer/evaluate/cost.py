"""What a trained network costs, measured on the network itself."""

from __future__ import annotations

import statistics

import torch
from torch import nn

from transfer.evaluate.profile import latencies_ms, peak_memory_mb, size_mb


def cost_metrics(
    model: nn.Module, image_size: int, device: torch.device, autocast: torch.autocast
) -> dict[str, float]:
    """Size, peak memory so far, and the latency of one image and of a batch of 64, median and 90th
    percentile: the machine should be doing nothing else.

    Args:
        model: on `device`.
        image_size: pixels.
        autocast: the precision to compute in.
    """
    memory = peak_memory_mb(device)
    one, batch = (
        latencies_ms(model, image_size, device, autocast, batch_size=batch_size)
        for batch_size in (1, 64)
    )
    return {
        "profile/latency_ms": statistics.median(one),
        "profile/latency_p90_ms": _percentile_90(one),
        "profile/latency_64_ms": statistics.median(batch),
        "profile/latency_64_p90_ms": _percentile_90(batch),
        "profile/size_mb": size_mb(model),
        "profile/peak_memory_mb": memory,
    }


def _percentile_90(values: list[float]) -> float:
    return statistics.quantiles(values, n=10, method="inclusive")[-1]
