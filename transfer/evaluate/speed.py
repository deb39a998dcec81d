"""How long a candidate's images take on this machine: tried on a few random ones, in a second or
two, before anything is planned with it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transfer.config import Config
from transfer.models.cut import UncutError, cut_at
from transfer.models.families import build_model, family_named
from transfer.models.matmul_convs import use_matmul_convs
from transfer.system.device import (
    autocast,
    memory_format,
    resolve_device,
    resolve_precision,
    synchronize,
)

_IMAGES, _LARGE_IMAGES, _CLASSES = 32, 8, 10
# From so many pixels on.
_LARGE = 96
# Tried for so long; the first call is not counted, unless it alone takes longer than that on a CPU.
_LEAST_S, _LONG_S = 0.3, 1.5
# A few images tell the speed of many to such a factor.
_MOST_WRONG = 4.0
# A step of training all of a network, in passes forward: measured on four of them.
_TRAINING = 4.0


@dataclass(frozen=True)
class Speed:
    """Seconds an image takes.

    Attributes:
        forward: through all of the network.
        all: in training all of it.
        last: in training its last stage and head on stored features; infinite where it cannot be
            cut there.
        width: numbers that its head is given of an image: of maps, the number of channels.
    """

    forward: float
    all: float
    last: float
    width: int = 0

    def at(self, size: int, other: int) -> Self:
        """As it will be at another size of the images, in pixels."""
        share = (other / size) ** 2
        return replace(
            self, forward=self.forward * share, all=self.all * share, last=self.last * share
        )

    def as_seen(self, forward: float) -> Self:
        """As it is where so many seconds an image were measured forward, over more images; as it
        was, where that is no number."""
        if not forward > 0:
            return self
        share = min(max(forward / self.forward, 1 / _MOST_WRONG), _MOST_WRONG)
        return replace(
            self, forward=self.forward * share, all=self.all * share, last=self.last * share
        )


def measure_speed(config: Config) -> Speed:
    """Try a candidate at its own image size.

    Raises:
        ConfigError: there is no such model or device.
    """
    name, size = config.model.name, config.image_size
    device = resolve_device(config.device)
    dense = family_named(name).is_dense(name)
    precision = resolve_precision(config.precision, device, dense=dense)
    model = build_model(name, _CLASSES, size)
    if device.type == "cpu":
        use_matmul_convs(model)
    model = model.to(memory_format=memory_format(device)).to(device)  # type: ignore[call-overload]
    count = _LARGE_IMAGES if size >= _LARGE else _IMAGES
    images = torch.randn(count, 3, size, size, device=device)
    labels = torch.arange(count, device=device) % _CLASSES

    def forward() -> None:
        with torch.no_grad(), autocast(device, precision):
            model(images)

    def step(tail: nn.Module, features: Tensor) -> None:
        with autocast(device, precision):
            logits = tail(features)
        F.cross_entropy(logits.float(), labels).backward()
        tail.zero_grad()

    model.eval()
    seconds = _seconds(forward, device) / count
    try:
        cut = cut_at(model, "last:1", size)
        with torch.no_grad(), autocast(device, precision):
            features = cut.features(images)
        tail = cut.tail.train()
        last = _seconds(lambda: step(tail, features), device) / count
    except (UncutError, RuntimeError, TypeError, ValueError, IndexError):
        last = float("inf")
    return Speed(seconds, _TRAINING * seconds, last, _width(model, images[:1], size))


def _width(model: nn.Module, image: Tensor, size: int) -> int:
    model.eval()
    with torch.no_grad():
        features = cut_at(model, "head", size).features(image)
    return features.shape[1] if features.ndim == 4 else features.numel()


def _seconds(call: Callable[[], None], device: torch.device) -> float:
    """The mean over a few calls: what else runs on the machine will slow others down as well."""
    start = time.perf_counter()
    call()
    synchronize(device)
    # A GPU's loads libraries.
    if device.type == "cpu" and time.perf_counter() - start > _LONG_S:
        return time.perf_counter() - start
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < _LEAST_S:
        call()
        synchronize(device)
        calls += 1
    return (time.perf_counter() - start) / calls
