"""From runs to rows: one a configuration, its seeds folded together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from transfer.report.history import History
from transfer.report.predictions import Predictions
from transfer.report.statistics import Floats, Interval, student_interval, wilson_interval
from transfer.tracking.find import RunRecord

# Differ between runs without being a choice that the report compares.
_NOT_COMPARED = (
    "seed",
    "device",
    "threads",
    "tracking.uri",
    "tracking.log_model",
    "weights.digest",
    "weights.loaded",
    "weights.left_out",
    "data.digest",
)


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        keys: the choices that differ within the report, such as {"model": "resnet18"}.
        runs: its finished runs, one a seed.
        histories: of each run.
        predictions: of each run; None where a run has none.
    """

    keys: dict[str, str]
    runs: Sequence[RunRecord]
    histories: Sequence[History]
    predictions: Sequence[Predictions | None]

    @property
    def label(self) -> str:
        """Short and unambiguous within the report: for legends."""
        parts = [value if key == "model" else f"{key}={value}" for key, value in self.keys.items()]
        return " ".join(parts) or self.runs[0].params["model.name"]

    def metric(self, name: str) -> list[float]:
        """A summary metric of every seed; NaN where a run lacks it."""
        return [run.metrics.get(name, float("nan")) for run in self.runs]

    def final(self, name: str) -> list[float]:
        """The last epoch's value of a metric, of every seed; NaN where a run lacks it."""
        curves = [history.epochs.get(name) for history in self.histories]
        return [math.nan if curve is None else float(curve.iloc[-1]) for curve in curves]

    def by_epoch(self, name: str) -> pd.DataFrame:
        """A metric over epochs: a row an epoch, a column a seed that has it."""
        curves = [history.epochs[name] for history in self.histories if name in history.epochs]
        return pd.concat(curves, axis=1) if curves else pd.DataFrame()

    def loss_spread(self) -> list[float]:
        """Standard deviation of the iteration loss over the last epoch, of every seed."""
        return [history.loss_spread for history in self.histories]

    def generalisation_gap(self) -> list[float]:
        """Final training accuracy minus test accuracy, as a fraction, of every seed."""
        pairs = zip(self.final("train/acc"), self.metric("test/acc"), strict=True)
        return [train - test for train, test in pairs]

    @cached_property
    def accuracy(self) -> Interval:
        """Mean test accuracy, 0 to 1, with its 95 % interval: Student's over the seeds, and
        Wilson's over the test images where there is one seed only."""
        values = np.array([value for value in self.metric("test/acc") if math.isfinite(value)])
        if len(values) == 0:
            return Interval(math.nan, math.nan, math.nan)
        predictions = self.predictions[0]
        if len(values) > 1 or predictions is None:
            return student_interval(values)
        correct = predictions.correct
        return wilson_interval(int(correct.sum()), len(correct))

    @cached_property
    def class_accuracy(self) -> Floats:
        """Test accuracy of each class, 0 to 1, mean over seeds; empty without predictions, NaN for
        a class without test images."""
        known = [each.class_accuracy for each in self.predictions if each is not None]
        return np.mean(known, axis=0) if known else np.array([])

    def worst_class(self) -> list[float]:
        """The least accurate class's accuracy, of every seed; NaN without predictions."""
        return [
            math.nan if each is None else float(np.nanmin(each.class_accuracy))
            for each in self.predictions
        ]

    @property
    def freeze_epochs(self) -> int:
        return int(self.runs[0].params["freeze_epochs"])


def build_rows(
    runs: Iterable[RunRecord],
    read_history: Callable[[RunRecord], History],
    read_predictions: Callable[[RunRecord], Predictions | None],
) -> list[Row]:
    """Group finished runs by configuration, best mean test accuracy first.

    Args:
        runs: of any status; only finished ones become rows, of one seed the last of them.
        read_history, read_predictions: fetch what a run saved.
    """
    groups: dict[str, dict[str, RunRecord]] = {}
    for run in runs:
        if run.finished:
            # The same seed again is the same result again, not one more.
            seeds = groups.setdefault(run.tags["transfer.configuration"], {})
            seeds[run.params["seed"]] = run
    members_of_groups = [
        sorted(seeds.values(), key=lambda run: int(run.params["seed"])) for seeds in groups.values()
    ]
    varying = varying_keys([members[0] for members in members_of_groups])
    rows = [
        Row(
            keys={_short(key): members[0].params.get(key, "") for key in varying},
            runs=members,
            histories=[read_history(run) for run in members],
            predictions=[read_predictions(run) for run in members],
        )
        for members in members_of_groups
    ]
    return sorted(rows, key=_worst_last)


def _worst_last(row: Row) -> float:
    accuracy = row.accuracy.estimate
    return -accuracy if math.isfinite(accuracy) else math.inf


def varying_keys(runs: Sequence[RunRecord]) -> list[str]:
    """The parameters that tell the runs apart; `model.name` first, always."""
    varying = [key for key in _differing_keys(runs) if not _follows(key, runs)]
    return sorted({"model.name", *varying}, key=lambda name: (name != "model.name", name))


def constant_keys(runs: Sequence[RunRecord]) -> dict[str, str]:
    """The parameters that all runs share."""
    varying = {"model.name", *_differing_keys(runs), *_NOT_COMPARED}
    return {key: value for key, value in sorted(runs[0].params.items()) if key not in varying}


def _differing_keys(runs: Sequence[RunRecord]) -> list[str]:
    names = sorted({name for run in runs for name in run.params} - set(_NOT_COMPARED))
    return [name for name in names if len({run.params.get(name) for run in runs}) > 1]


def _follows(key: str, runs: Sequence[RunRecord]) -> bool:
    """Whether a key only comes with the choice of its group, as betas with optimizer=adam."""
    name = f"{key.partition('.')[0]}.name"
    values: dict[str | None, set[str | None]] = {}
    for run in runs:
        values.setdefault(run.params.get(name), set()).add(run.params.get(key))
    return key != name and len(values) > 1 and all(len(each) == 1 for each in values.values())


def _short(key: str) -> str:
    return key.removesuffix(".name")
