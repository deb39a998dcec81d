"""What a classifier costs: parameters, multiply-accumulates, size, latency, memory."""

import contextlib
import copy
import re
import resource
import statistics
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from transfer.models.head import head_parameters
from transfer.models.tuned import tuned_backbone
from transfer.system.device import synchronize

_LONGEST_MS = 2000


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
    metrics = {"profile/peak_memory_mb": peak_memory_mb(device), "profile/size_mb": size_mb(model)}
    for name, batch_size in (("latency", 1), ("latency_64", 64)):
        times = latencies_ms(model, image_size, device, autocast, batch_size=batch_size)
        metrics[f"profile/{name}_ms"] = statistics.median(times)
        p90 = statistics.quantiles(times, n=10, method="inclusive")[-1]
        metrics[f"profile/{name}_p90_ms"] = p90
    return metrics


def count_parameters(model: nn.Module, tune: str = "all") -> int:
    """How many parameters the model has that train, by what `tune` names."""
    parameters = [*head_parameters(model), *tuned_backbone(model, tune)]
    return sum(parameter.numel() for parameter in parameters)


def count_macs(model: nn.Module, image_size: int) -> int:
    """Multiply-accumulates of one image of `image_size` pixels; runs on the meta device.

    Counts convolutions, matmuls and attention, as torch's flop counter does.
    """
    meta = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        meta(torch.zeros(1, 3, image_size, image_size, device="meta"))
    return counter.get_total_flops() // 2


def size_mb(model: nn.Module) -> float:
    """Parameters and buffers as stored in float32, in units of 10^6 bytes."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) / 1e6


@torch.inference_mode()
def latencies_ms(
    model: nn.Module,
    image_size: int,
    device: torch.device,
    autocast: torch.autocast,
    *,
    batch_size: int = 1,
    repeats: int = 30,
) -> list[float]:
    """Milliseconds of forward passes over a batch, after a warm-up of one in six of them.

    Where passes are long, both end early: after two seconds, but not before the fifth pass.
    """
    model.eval()
    images = torch.zeros(batch_size, 3, image_size, image_size, device=device)

    def passes(most: int) -> list[float]:
        times: list[float] = []
        while len(times) < most and (sum(times) < _LONGEST_MS or len(times) < 5):
            start = time.perf_counter()
            with autocast:
                model(images)
            synchronize(device)
            times.append((time.perf_counter() - start) * 1e3)
        return times

    passes(repeats // 6)
    return passes(repeats)


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring: in a sweep, one process runs many jobs."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        # Sets the high-water mark of the resident set back to its present size. Not allowed in
        # every container; the peak then counts from the process's start.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb(device: torch.device) -> float:
    """Most memory held since `reset_peak_memory`, in units of 10^6 bytes.

    On CUDA, what torch allocated there; on MPS, what it holds now; else the process's resident
    memory, with what lies in it of mapped files, such as streamed images, and could be dropped.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / 1e6
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        high_water = re.search(r"VmHWM:\s+(\d+) kB", status)
        if high_water:
            return int(high_water[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, everything else kilobytes.
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
