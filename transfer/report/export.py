"""The rows of a comparison for other programs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import pandas as pd

from transfer.report.columns import ACCURACY, COSTS, SCORES, deviation
from transfer.report.comparison import Comparison
from transfer.report.cost import pareto_front
from transfer.report.table import Row


def rows_frame(rows: Sequence[Row], comparison: Comparison) -> pd.DataFrame:
    """A row a configuration: rank, keys, number of seeds, test accuracy with its interval, the
    difference to the best with its p-values, mean and standard deviation of each measure, and
    whether it is on the Pareto front of each cost. Accuracies are fractions; what is not known,
    such as the deviation of a single seed, is missing."""
    accuracies = [row.accuracy.estimate for row in rows]
    fronts = {
        column.name: pareto_front(
            accuracies, [(1 if column.best is min else -1) * column.mean(row) for row in rows]
        )
        for column in COSTS
    }
    lines = []
    for place, row in enumerate(rows):
        line: dict[str, object] = {"rank": comparison.ranks[place], **row.keys}
        line |= {"seeds": len(row.runs), "test/acc": row.accuracy.estimate}
        line |= {"test/acc_low": row.accuracy.low, "test/acc_high": row.accuracy.high}
        line["interval_of"] = "seeds" if len(row.runs) > 1 else "test images"
        line["test/acc_std"] = deviation(ACCURACY.values(row))
        if place:
            pair = comparison.pair(0, place)
            line |= {"behind_best": pair.difference.estimate, "test": pair.test}
            line |= {"p": pair.p_value, "p_holm": pair.corrected, "p_mcnemar": pair.mcnemar}
        for column in (*SCORES, *COSTS):
            known = [value for value in column.values(row) if math.isfinite(value)]
            line[column.name] = statistics.fmean(known) if known else math.nan
            line[f"{column.name}_std"] = deviation(known)
        line |= {f"{name}_front": front[place] for name, front in fronts.items()}
        lines.append(line)
    frame = pd.DataFrame(lines)
    keys = {key for row in rows for key in row.keys}
    return frame.assign(**{key: _typed(frame[key]) for key in keys})


def _typed(column: pd.Series) -> pd.Series:
    """Numbers as numbers: MLflow keeps every parameter as text."""
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column
