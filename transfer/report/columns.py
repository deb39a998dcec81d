"""The measures that a comparison has a column for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from transfer.report.table import Row


@dataclass(frozen=True)
class Column:
    """A measured column.

    Attributes:
        name: as in MLflow where it is a metric there, for machines.
        title: for people.
        values: the measure of every seed of a row.
        text: how one number is written.
        best: which end is better, `min` or `max`: that value is set bold.
    """

    name: str
    title: str
    values: Callable[[Row], list[float]]
    text: Callable[[float], str]
    best: Callable[..., float]


def percent(value: float) -> str:
    return f"{100 * value:.2f}"


def count(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def _number(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:.{digits}f}"


COLUMNS = (
    Column("test/acc", "test acc %", lambda row: row.metric("test/acc"), percent, max),
    Column("best/val_acc", "best val acc %", lambda row: row.metric("best/val_acc"), percent, max),
    Column("train/acc", "final train acc %", lambda row: row.final("train/acc"), percent, max),
    Column("gap", "train − test", lambda row: row.generalisation_gap(), percent, min),
    Column("loss_spread", "loss spread", lambda row: row.loss_spread(), _number(3), min),
    Column("profile/params", "params", lambda row: row.metric("profile/params"), count, min),
    Column(
        "profile/trainable_params",
        "trainable",
        lambda row: row.metric("profile/trainable_params"),
        count,
        min,
    ),
    Column("profile/macs", "MACs", lambda row: row.metric("profile/macs"), count, min),
    Column(
        "profile/latency_ms",
        "latency ms",
        lambda row: row.metric("profile/latency_ms"),
        _number(2),
        min,
    ),
    Column("time/train_s", "train s", lambda row: row.metric("time/train_s"), _number(1), min),
)
