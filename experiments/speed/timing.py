"""Timing that a busy machine cannot turn around: contestants take turns, and medians count."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch

from transfer.system.device import synchronize


@dataclass(frozen=True)
class Spread:
    """A median with the least and the greatest value."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        return cls(statistics.median(values), min(values), max(values))

    def text(self, digits: int = 0) -> str:
        low, high = (f"{each:,.{digits}f}" for each in (self.low, self.high))
        return f"{self.median:,.{digits}f} ({low} to {high})"


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


def alternate(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int,
    device: torch.device,
    clock: str = "wall",
    *,
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Seconds of every contestant in every round; in a round each runs once, in turn.

    What slows the machine for a while slows all of them, so that ratios within a round hold.

    Args:
        clock: a key of CLOCKS; "cpu" counts what this process used of its processors.
        warm_up: rounds before those that count: they compile kernels and fill caches.
    """
    now = CLOCKS[clock]
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(-warm_up, rounds):
        for name, run in contestants.items():
            start = now()
            run()
            synchronize(device)
            if turn >= 0:
                seconds[name].append(now() - start)
    return seconds


def ratios(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """How many times faster, round by round."""
    return Spread.of([one / other for one, other in zip(slow, fast, strict=True)])
