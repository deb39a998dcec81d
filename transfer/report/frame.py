"""A comparison as a table for other programs: all of it."""

import math
from collections.abc import Sequence

import pandas as pd

from transfer.compare.comparison import Comparison
from transfer.compare.rows import Row
from transfer.compare.statistics import Interval
from transfer.compare.verdicts import Verdict
from transfer.report.columns import ACCURACY, COSTS, SCORES
from transfer.report.verdicts import has_answer, verdict_of_second

# In this order, with a row's choices after the first two and its place on the fronts at the end.
_COLUMNS = [
    *("rank", "sound", "replicates", "test/acc", "test/acc_low", "test/acc_high", "interval_of"),
    *("test/acc_std", "probability_best"),
    *("behind_first", "behind_first_low", "behind_first_high", "common_replicates"),
    *(f"{name}{part}" for name in ("recipe", "network") for part in ("", "_p", "_p_holm")),
    *(f"{column.name}{part}" for column in (*SCORES, *COSTS) for part in ("", "_std")),
    *dict.fromkeys(column.beside for column in COSTS if column.beside),
    *(f"{column.name}_front" for column in COSTS),
]


def rows_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """A row a configuration, in order of validation, those without a rank last: rank, keys, number
    of replicates, test accuracy with its interval, the difference to the first with both verdicts
    and their p-values, the probability to be the best, mean and standard deviation of each measure,
    whether it is on the Pareto front of each cost, and how many other jobs ran on the machine.
    Accuracies are fractions; what is not known, such as the deviation of a single replicate, is
    missing.

    Args:
        comparisons: one a test set; where there are several, the column `part` counts them from 1.
    """
    frames = [_comparison_frame(each) for each in comparisons if each.rows or each.unsound]
    if len(frames) > 1:
        for number, frame in enumerate(frames, start=1):
            frame.insert(0, "part", number)
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=_COLUMNS)
    rows = [row for each in comparisons for row in (*each.rows, *each.unsound)]
    for key in {key for row in rows for key in row.keys}:
        # MLflow keeps every parameter as text.
        try:
            frame[key] = pd.to_numeric(frame[key])
        except ValueError:
            continue
    return frame


def _comparison_frame(comparison: Comparison) -> pd.DataFrame:
    rows = comparison.rows
    keys = list(dict.fromkeys(key for row in (*rows, *comparison.unsound) for key in row.keys))
    lines = [
        {"rank": comparison.ranks[index] if has_answer(comparison) else None, "sound": True}
        | _start(row, keys)
        | _against_first(comparison, index)
        | _measures(row)
        for index, row in enumerate(rows)
    ]
    for column in COSTS:
        for line, on_front in zip(lines, column.front(rows), strict=True):
            line[f"{column.name}_front"] = on_front
    lines += [
        {"rank": None, "sound": False} | _start(row, keys) | _measures(row)
        for row in comparison.unsound
    ]
    frame = pd.DataFrame(lines)
    whole = ["rank", *(f"{column.name}_front" for column in COSTS if rows)]
    kinds = dict(zip(whole, ["Int64", *["boolean"] * len(COSTS)], strict=False))
    return frame.astype(kinds)


def _start(row: Row, keys: Sequence[str]) -> dict[str, object]:
    accuracy, params = row.accuracy, row.params
    return {
        **{key: params.get(f"{key}.name", params.get(key, "")) for key in keys},
        "replicates": len(row.runs),
        "test/acc": accuracy.estimate,
        "test/acc_low": accuracy.low,
        "test/acc_high": accuracy.high,
        "interval_of": accuracy.over if accuracy.known else None,
        "test/acc_std": ACCURACY.spread(row),
    }


def _against_first(comparison: Comparison, index: int) -> dict[str, object]:
    """The first row has no difference to itself."""
    decision = comparison.decision
    chances = decision.probability_best if decision else []
    pair = comparison.pair(0, index) if index else None
    behind = pair.difference if pair else Interval(math.nan)
    line: dict[str, object] = {
        "probability_best": chances[index] if index < len(chances) else math.nan,
        "behind_first": behind.estimate,
        "behind_first_low": behind.low,
        "behind_first_high": behind.high,
        "common_replicates": pair.replicates if pair else math.nan,
    }
    for name in ("recipe", "network"):
        verdict: Verdict | None = getattr(pair, name, None)
        line[name] = verdict_of_second(verdict) if verdict else None
        line[f"{name}_p"] = verdict.p_value if verdict else math.nan
        line[f"{name}_p_holm"] = verdict.corrected if verdict else math.nan
    return line


def _measures(row: Row) -> dict[str, object]:
    line: dict[str, object] = {}
    for column in (*SCORES, *COSTS):
        line |= {column.name: column.mean(row), f"{column.name}_std": column.spread(row)}
    for name in dict.fromkeys(column.beside for column in COSTS if column.beside):
        # Of the replicates the one that had the most beside it.
        known = [value for value in row.metric(name) if math.isfinite(value)]
        line[name] = max(known, default=math.nan)
    return line
