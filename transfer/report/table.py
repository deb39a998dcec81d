"""From runs to rows: one a configuration, its seeds folded together."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from transfer.tracking.find import RunRecord

# Differ between runs without being a choice that the report compares.
_NOT_COMPARED = (
    "seed",
    "device",
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
        histories: of each run: metric, epoch, iteration, value.
    """

    keys: dict[str, str]
    runs: Sequence[RunRecord]
    histories: Sequence[pd.DataFrame]

    @property
    def label(self) -> str:
        """Short and unambiguous within the report: for legends."""
        parts = [value if key == "model" else f"{key}={value}" for key, value in self.keys.items()]
        return " ".join(parts) or self.runs[0].params["model.name"]

    def metric(self, name: str) -> list[float]:
        """A summary metric of every seed; NaN where a run lacks it."""
        return [run.metrics.get(name, float("nan")) for run in self.runs]

    def final(self, name: str) -> list[float]:
        """The last epoch's value of a metric, of every seed."""
        return [_series(history, name).iloc[-1] for history in self.histories]

    def by_epoch(self, name: str) -> pd.DataFrame:
        """A metric over epochs: a row an epoch, a column a seed."""
        return pd.concat([_series(history, name) for history in self.histories], axis=1)

    def loss_spread(self) -> list[float]:
        """Standard deviation of the iteration loss over the last epoch, of every seed."""
        spreads = []
        for history in self.histories:
            steps = history[history["metric"] == "step/loss"]
            last = steps[steps["epoch"] == steps["epoch"].max()]["value"]
            spreads.append(float(last.std(ddof=0)))
        return spreads

    def generalisation_gap(self) -> list[float]:
        """Final training accuracy minus test accuracy, as a fraction, of every seed."""
        pairs = zip(self.final("train/acc"), self.metric("test/acc"), strict=True)
        return [train - test for train, test in pairs]

    @property
    def freeze_epochs(self) -> int:
        return int(self.runs[0].params["freeze_epochs"])


def build_rows(runs: Iterable[RunRecord], histories: dict[str, pd.DataFrame]) -> list[Row]:
    """Group finished runs by configuration, best mean test accuracy first.

    Args:
        runs: of any status; only finished ones become rows, of one seed the last of them.
        histories: by run id.
    """
    groups: dict[str, dict[str, RunRecord]] = {}
    for run in runs:
        if run.finished:
            # The same seed again is the same result again, not one more.
            seeds = groups.setdefault(run.tags["transfer.configuration"], {})
            seeds[run.params["seed"]] = run
    members_of_groups = [list(seeds.values()) for seeds in groups.values()]
    varying = varying_keys([members[0] for members in members_of_groups])
    rows = [
        Row(
            keys={_short(key): members[0].params.get(key, "") for key in varying},
            runs=members,
            histories=[histories[run.id] for run in members],
        )
        for members in members_of_groups
    ]
    return sorted(rows, key=lambda row: -statistics.fmean(row.metric("test/acc")))


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


def _series(history: pd.DataFrame, name: str) -> pd.Series:
    return history[history["metric"] == name].set_index("epoch")["value"]
