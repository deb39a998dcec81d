"""What a classifier costs: parameters, multiply-accumulates, size, latency."""

import copy
import logging
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from transfer.models.head import head_parameters
from transfer.models.matmul_convs import use_matmul_convs
from transfer.models.tuned import tuned_backbone
from transfer.system.device import is_out_of_memory, synchronize

log = logging.getLogger(__name__)

# A median of passes that take this long together moves less than one machine differs from itself.
_LONGEST_MS = 500


def cost_metrics(
    model: nn.Module, image_size: int, device: torch.device, peak_memory_mb: float | None = None
) -> dict[str, float]:
    """Size, and the latency of one image and of a batch of 64, median and 90th percentile: the
    machine should be doing nothing else.

    Latency is that of the classifier as whoever loads its weights has it: `as_exported`, in
    float32, whatever training computed in.

    Args:
        model: as it was trained; is left as it is.
        image_size: pixels.
        device: where the passes are timed.
        peak_memory_mb: what training took, where that is known.
    """
    exported = as_exported(model).to(device)
    metrics = {"profile/size_mb": size_mb(exported)}
    if peak_memory_mb is not None:
        metrics["profile/peak_memory_mb"] = peak_memory_mb
    for name, batch_size in (("latency", 1), ("latency_64", 64)):
        try:
            times = latencies_ms(exported, image_size, device, batch_size=batch_size)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            images = f"{batch_size} images" if batch_size > 1 else "an image"
            log.warning("no latency of %s of %d px: out of memory", images, image_size)
            continue
        metrics[f"profile/{name}_ms"] = statistics.median(times)
        p90 = statistics.quantiles(times, n=10, method="inclusive")[-1]
        metrics[f"profile/{name}_p90_ms"] = p90
    return metrics


def as_exported(model: nn.Module) -> nn.Module:
    """A copy on the CPU in evaluation mode, of torch's own layers, in torch's default layout."""
    # The layout of images in training is a choice of this project, as its convolutions are.
    copied = copy.deepcopy(model).to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    use_matmul_convs(copied, use=False)
    plain: nn.Module = copied.eval().requires_grad_(False)
    return plain


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
    *,
    batch_size: int = 1,
    repeats: int = 30,
) -> list[float]:
    """Milliseconds of forward passes over a batch, as `passes_ms` has them.

    The model is on `device`, and is left in evaluation mode.
    """
    model.eval()
    images = torch.zeros(batch_size, 3, image_size, image_size, device=device)

    def once() -> None:
        model(images)
        synchronize(device)

    return passes_ms(once, repeats)


def passes_ms(once: Callable[[], object], repeats: int = 30) -> list[float]:
    """Milliseconds of what is done again and again, after a warm-up of one in six of them.

    Where passes are long, both end early: after half a second, but the warm-up not before its
    second pass, and the passes that count not before their fifth.
    """

    def passes(most: int, least: int) -> list[float]:
        times: list[float] = []
        while len(times) < most and (sum(times) < _LONGEST_MS or len(times) < least):
            start = time.perf_counter()
            once()
            times.append((time.perf_counter() - start) * 1e3)
        return times

    passes(repeats // 6, least=2)
    return passes(repeats, least=5)
