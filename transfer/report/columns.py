"""The measures that a comparison has a column for."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transfer.compare.rows import Row


@dataclass(frozen=True)
class Column:
    """A measured column.

    Attributes:
        name: as in MLflow where it is a metric there; its title is the word of this name.
        values: the measure of every seed of a row.
        text: how one number is written.
        best: which of some values is best, such as `min` or `max`: that one is set bold.
    """

    name: str
    values: Callable[[Row], list[float]]
    text: Callable[[float], str]
    best: Callable[..., float]

    def mean(self, row: Row) -> float:
        """Over the seeds that have it; NaN where none has."""
        known = [value for value in self.values(row) if math.isfinite(value)]
        return statistics.fmean(known) if known else math.nan

    def cells(self, rows: Sequence[Row]) -> list[str]:
        """A text a row: mean ± standard deviation over seeds, the best in bold."""
        means = [self.mean(row) for row in rows]
        known = [mean for mean in means if math.isfinite(mean)]
        # Values that read the same are equally good: 11.17 M is no better than 11.17 M.
        best = self.text(self.best(known)) if known else ""
        cells = []
        for row, mean in zip(rows, means, strict=True):
            if not math.isfinite(mean):
                cells.append("–")
                continue
            text = self.text(mean)
            spread = deviation(self.values(row))
            full = f"{text} ± {self.text(spread)}" if spread > 0 else text
            # Bold tells nothing where every row is the same.
            cells.append(f"**{full}**" if text == best and len(set(known)) > 1 else full)
        return cells


def nearest_zero(values: Sequence[float]) -> float:
    """Of a gap: too far either way is no better than too far the other."""
    return min(values, key=abs)


def deviation(values: Sequence[float]) -> float:
    """Standard deviation over seeds; NaN for fewer than two."""
    known = [value for value in values if math.isfinite(value)]
    return statistics.stdev(known) if len(known) > 1 else math.nan


def percent(value: float) -> str:
    return f"{100 * value:.2f}"


def count(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def _number(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f}"


def _metric(name: str, text: Callable[[float], str], best: Callable[..., float] = min) -> Column:
    return Column(name, lambda row: row.metric(name), text, best)


ACCURACY = _metric("test/acc", percent, max)

# How good a configuration is.
SCORES = (
    _metric("test/loss", _number(3)),
    _metric("test/ece", percent),
    Column("worst_class", lambda row: row.worst_class(), percent, max),
    _metric("best/val_acc", percent, max),
    Column("train/acc", lambda row: row.final("train/acc"), percent, max),
    Column("gap", lambda row: row.generalisation_gap(), percent, nearest_zero),
    Column("loss_spread", lambda row: row.loss_spread(), _number(3), min),
)

# What it costs.
COSTS = (
    _metric("profile/params", count),
    _metric("profile/trainable_params", count),
    _metric("profile/macs", count),
    _metric("profile/size_mb", _number(1)),
    _metric("profile/latency_ms", _number(2)),
    _metric("profile/latency_p90_ms", _number(2)),
    _metric("profile/latency_64_ms", _number(1)),
    _metric("profile/latency_64_p90_ms", _number(1)),
    _metric("profile/peak_memory_mb", _number(0)),
    _metric("time/train_s", _number(0)),
    _metric("throughput/train_img_s", _number(0), max),
)
