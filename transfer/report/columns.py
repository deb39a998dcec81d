"""The measures that a comparison has a column for."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from transfer.compare.criterion import Criterion
from transfer.compare.rows import Row
from transfer.compare.statistics import Interval, pareto_front
from transfer.report.language import Words
from transfer.tracking.metrics import METRICS, Metric


@dataclass(frozen=True)
class Column:
    """A measured column.

    Attributes:
        metric: what is measured; the best value of a column is set bold.
        values: the measure of every replicate of a row.
        beside: the metric that counts the other jobs on the machine meanwhile, where they matter.
    """

    metric: Metric
    values: Callable[[Row], list[float]]
    beside: str | None = None

    @property
    def name(self) -> str:
        return self.metric.name

    def mean(self, row: Row) -> float:
        """The mean over the replicates that have it; NaN where none has."""
        known = [value for value in self.values(row) if math.isfinite(value)]
        return statistics.fmean(known) if known else math.nan

    def spread(self, row: Row) -> float:
        """The standard deviation over the replicates that have it; NaN for fewer than two."""
        known = [value for value in self.values(row) if math.isfinite(value)]
        return statistics.stdev(known) if len(known) > 1 else math.nan

    def known(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that have it."""
        return [row for row in rows if math.isfinite(self.mean(row))]

    def text(self, row: Row) -> str:
        """The mean as people read it, without its unit."""
        return signed(self.metric.text(self.mean(row)))

    def cells(self, rows: Sequence[Row], *, spread: bool = True) -> list[str]:
        """A text a row: the mean, with `spread` ± standard deviation over replicates, the best
        in bold."""
        known = [self.mean(row) for row in self.known(rows)]
        # Values that read the same are equally good, 11.17 M is no better than 11.17 M; and bold
        # tells nothing where every row is the same.
        best = signed(self.metric.text(self.metric.best(known))) if len(set(known)) > 1 else ""
        cells = []
        for row in rows:
            text, deviation = self.text(row), self.spread(row)
            full = f"{text} ± {self.metric.text(deviation)}" if spread and deviation > 0 else text
            cells.append(f"**{full}**" if text == best else full)
        return cells

    def disturbed(self, row: Row) -> bool:
        """Whether it is known of a replicate that other jobs ran on the machine meanwhile."""
        return self.beside is not None and any(each > 0 for each in row.metric(self.beside))

    def front(self, rows: Sequence[Row]) -> list[bool]:
        """Which rows are on the Pareto front of accuracy against this."""
        accuracies = [row.accuracy.estimate for row in rows]
        return pareto_front(accuracies, [self.metric.cost(self.mean(row)) for row in rows])


def percent(value: float) -> str:
    return ACCURACY.metric.text(value)


def p_text(value: float) -> str:
    """A p-value as one writes it: none is 0."""
    if not math.isfinite(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def signed(text: str) -> str:
    """A number with the sign that a reader expects before it."""
    return text.replace("-", "−")


def points(value: float) -> str:
    """A difference of two fractions in percentage points, with its sign."""
    return _with_sign(100 * value, 2)


def _with_sign(value: float, digits: int) -> str:
    # A difference of nothing has no minus; adding 0 takes it off.
    return signed(f"{round(value, digits) + 0.0:+.{digits}f}")


def lead(value: float, criterion: Criterion) -> str:
    """How much better by a measure, with its sign: of a loss, how much less."""
    return _with_sign(-value, 3) if criterion.sign < 0 else points(value)


def behind(value: float, criterion: Criterion) -> str:
    """How much is behind by a measure: with a sign that is + for more loss as well."""
    return _with_sign(value, 3) if criterion.sign < 0 else points(value)


def size(value: float, criterion: Criterion) -> str:
    """A difference that has no sign."""
    return lead(abs(value), criterion)[1:]


def with_unit(text: str, criterion: Criterion, words: Words) -> str:
    """A difference by a measure, or several, with what it is counted in."""
    return words("in_loss" if criterion.sign < 0 else "in_points", value=text)


def _logged(name: str, beside: str | None = None) -> Column:
    return Column(METRICS[name], lambda row: row.metric(name), beside)


def _beside(name: str) -> str | None:
    if name.startswith("profile/latency"):
        return "profile/other_jobs"
    return "time/other_jobs" if name.startswith(("time/", "throughput/")) else None


def _balanced(row: Row) -> list[float]:
    """From the answers, where a run of before did not log it."""
    return [
        float(np.nanmean(answers.class_accuracy)) if math.isnan(logged) and answers else logged
        for logged, answers in zip(row.metric(BALANCED.name), row.predictions, strict=True)
    ]


ACCURACY = _logged("test/acc")
BALANCED = Column(METRICS["test/balanced_acc"], _balanced)
GAP = Column(Metric("gap", "points", "nearest zero", 2), Row.generalisation_gap)
LOST = Column(Metric("lost", "points", "lower", 2), Row.lost_in_evaluation)
BATCH_LOSS_STD = Column(Metric("batch_loss_std", better="lower", digits=3), Row.batch_loss_std)
MACS = _logged("profile/macs")
TIME = _logged("time/train_s", "time/other_jobs")

# How good a configuration is.
SCORES = (
    BALANCED,
    _logged("test/loss"),
    _logged("test/ece"),
    Column(Metric("worst_class", "%", "higher", 2), Row.worst_class),
    _logged("best/val_acc"),
    Column(METRICS["train/acc"], lambda row: row.final("train/acc")),
    GAP,
    BATCH_LOSS_STD,
)


def shown_scores(rows: Sequence[Row], criterion: Criterion) -> list[Column]:
    """Those beside the ranking's own: where classes are even, balanced accuracy is accuracy
    again."""
    even = not any(row.uneven for row in rows)
    left_out = {criterion.test, criterion.validation, BALANCED.name if even else ""}
    return [column for column in (ACCURACY, *SCORES) if column.name not in left_out]


def of_criterion(criterion: Criterion) -> tuple[Column, Column]:
    """The measure of the test images that rows are ordered by, and that of the validation
    images."""
    return _logged(criterion.test), _logged(criterion.validation)


def score_of(row: Row, criterion: Criterion) -> Interval:
    """The measure of the test images with its interval; that of accuracy is computed once."""
    return row.accuracy if criterion.name == "acc" else row.score(criterion)


# What it costs; how many other jobs ran meanwhile is none of the costs.
COSTS = tuple(
    _logged(name, _beside(name))
    for name, metric in METRICS.items()
    if metric.better and (name.startswith(("profile/", "throughput/")) or name == "time/train_s")
)
