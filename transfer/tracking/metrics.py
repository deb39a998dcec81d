"""Every metric that a run can have, declared once: what logs it and what shows it read this."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

_SIZES = (("G", 1e9), ("M", 1e6), ("k", 1e3))


@dataclass(frozen=True)
class Metric:
    """A measured number. Its title in each language is the catalogues' ``column.<name>``.

    Attributes:
        name: as logged; the UI of MLflow groups by its prefix.
        unit: of the number as people read it. What is logged as a fraction, such as an accuracy,
            is read in "%", and a difference of two such fractions in "points".
        better: which values are the better ones; None where neither is.
        digits: after the point, as people read it; None: three significant ones, with k, M or G.
        timed: measured with a clock or on a machine's memory, so that no two runs have the same.
    """

    name: str
    unit: str = ""
    better: Literal["higher", "lower", "nearest zero"] | None = None
    digits: int | None = None
    timed: bool = False

    def text(self, value: float) -> str:
        """A logged value as people read it, without its unit; a dash where it is not known."""
        if not math.isfinite(value):
            return "–"
        value = 100 * value if self.unit in ("%", "points") else value
        if self.digits is not None:
            return f"{value:.{self.digits}f}"
        for letter, size in _SIZES:
            if abs(value) >= size:
                return f"{value / size:.3g} {letter}"
        return f"{value:.0f}"

    def cost(self, value: float) -> float:
        """`value` on a scale where less is better."""
        return {"higher": -value, "nearest zero": abs(value)}.get(self.better or "", value)

    def best(self, values: Iterable[float]) -> float:
        return min(values, key=self.cost)


_DECLARED = (
    # At most 1,000 points a run, each the mean over a stretch of iterations.
    Metric("step/loss", better="lower", digits=3),
    # A point an epoch.
    Metric("train/loss", better="lower", digits=3),
    Metric("train/acc", "%", "higher", 2),
    Metric("val/loss", better="lower", digits=3),
    Metric("val/acc", "%", "higher", 2),
    Metric("val/balanced_acc", "%", "higher", 2),
    Metric("lr/head", digits=6),
    Metric("lr/backbone", digits=6),
    Metric("time/epoch_s", "s", "lower", 1, timed=True),
    # Once a run.
    Metric("best/train_acc", "%", "higher", 2),
    Metric("best/val_acc", "%", "higher", 2),
    Metric("best/val_balanced_acc", "%", "higher", 2),
    Metric("best/val_loss", better="lower", digits=3),
    Metric("best/epoch", digits=0),
    Metric("test/acc", "%", "higher", 2),
    Metric("test/balanced_acc", "%", "higher", 2),
    Metric("test/loss", better="lower", digits=3),
    Metric("test/ece", "%", "lower", 2),
    Metric("profile/params", better="lower"),
    Metric("profile/trainable_params", better="lower"),
    Metric("profile/macs", better="lower"),
    Metric("profile/size_mb", "MB", "lower", 1),
    Metric("profile/latency_ms", "ms", "lower", 2, timed=True),
    Metric("profile/latency_p90_ms", "ms", "lower", 2, timed=True),
    Metric("profile/latency_64_ms", "ms", "lower", 1, timed=True),
    Metric("profile/latency_64_p90_ms", "ms", "lower", 1, timed=True),
    Metric("profile/peak_memory_mb", "MB", "lower", 0, timed=True),
    Metric("time/train_s", "s", "lower", 0, timed=True),
    Metric("throughput/train_img_s", "img/s", "higher", 0, timed=True),
    # Other jobs on the machine, the most at once: while latency was measured, while it trained.
    Metric("profile/other_jobs", digits=0, timed=True),
    Metric("time/other_jobs", digits=0, timed=True),
)

METRICS = {metric.name: metric for metric in _DECLARED}
