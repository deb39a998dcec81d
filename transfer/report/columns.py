"""The measures that a comparison has a column for."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transfer.compare.rows import Row
from transfer.compare.statistics import pareto_front
from transfer.tracking.metrics import METRICS, Metric


@dataclass(frozen=True)
class Column:
    """A measured column.

    Attributes:
        metric: what is measured; the best value of a column is set bold.
        values: the measure of every seed of a row.
    """

    metric: Metric
    values: Callable[[Row], list[float]]

    @property
    def name(self) -> str:
        return self.metric.name

    def mean(self, row: Row) -> float:
        """Over the seeds that have it; NaN where none has."""
        return mean(self.values(row))

    def text(self, row: Row) -> str:
        return self.metric.text(self.mean(row))

    def cells(self, rows: Sequence[Row]) -> list[str]:
        """A text a row: mean ± standard deviation over seeds, the best in bold."""
        known = [value for row in rows if math.isfinite(value := self.mean(row))]
        # Values that read the same are equally good: 11.17 M is no better than 11.17 M.
        best = self.metric.text(self.metric.best(known)) if known else ""
        # Bold tells nothing where every row is the same.
        return [self._cell(row, best if len(set(known)) > 1 else "") for row in rows]

    def front(self, rows: Sequence[Row]) -> list[bool]:
        """Which rows are on the Pareto front of accuracy against this."""
        accuracies = [row.accuracy.estimate for row in rows]
        return pareto_front(accuracies, [self.metric.cost(self.mean(row)) for row in rows])

    def _cell(self, row: Row, best: str) -> str:
        values = self.values(row)
        if not math.isfinite(mean(values)):
            return "–"
        text, spread = self.metric.text(mean(values)), deviation(values)
        full = f"{text} ± {self.metric.text(spread)}" if spread > 0 else text
        return f"**{full}**" if text == best else full


def mean(values: Sequence[float]) -> float:
    """Over what is known; NaN where nothing is."""
    known = [value for value in values if math.isfinite(value)]
    return statistics.fmean(known) if known else math.nan


def deviation(values: Sequence[float]) -> float:
    """Standard deviation over seeds; NaN for fewer than two."""
    known = [value for value in values if math.isfinite(value)]
    return statistics.stdev(known) if len(known) > 1 else math.nan


def percent(value: float) -> str:
    return ACCURACY.metric.text(value)


def points(value: float) -> str:
    """A difference of two fractions in percentage points, with its sign."""
    return f"{100 * value:+.2f}".replace("-", "−")


def _logged(name: str) -> Column:
    return Column(METRICS[name], lambda row: row.metric(name))


ACCURACY = _logged("test/acc")
VALIDATION = _logged("best/val_acc")
GAP = Column(Metric("gap", "points", "nearest zero", 2), Row.generalisation_gap)
BATCH_LOSS_STD = Column(Metric("batch_loss_std", better="lower", digits=3), Row.batch_loss_std)
MACS = _logged("profile/macs")

# How good a configuration is.
SCORES = (
    _logged("test/loss"),
    _logged("test/ece"),
    Column(Metric("worst_class", "%", "higher", 2), Row.worst_class),
    VALIDATION,
    Column(METRICS["train/acc"], lambda row: row.final("train/acc")),
    GAP,
    BATCH_LOSS_STD,
)

# What it costs.
COSTS = tuple(
    _logged(name)
    for name in METRICS
    if name.startswith(("profile/", "throughput/")) or name == "time/train_s"
)
