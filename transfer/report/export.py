"""The rows of a comparison for other programs."""

from collections.abc import Sequence

import pandas as pd

from transfer.compare.comparison import Comparison
from transfer.compare.rows import Row
from transfer.report.columns import ACCURACY, COSTS, SCORES, deviation

_INTERVALS = {"seeds": "seeds", "images": "test images", "nothing": None}


def rows_frame(parts: Sequence[tuple[Sequence[Row], Comparison]]) -> pd.DataFrame:
    """A row a configuration: rank, keys, number of seeds, test accuracy with its interval, the
    difference to the best with its p-values, mean and standard deviation of each measure, and
    whether it is on the Pareto front of each cost. Accuracies are fractions; what is not known,
    such as the deviation of a single seed, is missing.

    Args:
        parts: the configurations of each test set; where there are several, the column `part`
            counts them from 1.
    """
    frames = [_part_frame(rows, comparison) for rows, comparison in parts]
    if len(frames) > 1:
        for number, frame in enumerate(frames, start=1):
            frame.insert(0, "part", number)
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    keys = {key for rows, _ in parts for row in rows for key in row.keys}
    return frame.assign(**{key: _typed(frame[key]) for key in keys})


def _part_frame(rows: Sequence[Row], comparison: Comparison) -> pd.DataFrame:
    fronts = {column.name: column.front(rows) for column in COSTS}
    lines = []
    for index, row in enumerate(rows):
        line: dict[str, object] = {"rank": comparison.ranks[index], **row.keys}
        line |= {"seeds": len(row.runs), "test/acc": row.accuracy.estimate}
        line |= {"test/acc_low": row.accuracy.low, "test/acc_high": row.accuracy.high}
        line["interval_of"] = _INTERVALS[row.interval_over]
        line["test/acc_std"] = deviation(ACCURACY.values(row))
        if index:
            pair = comparison.pair(0, index)
            line |= {"behind_best": pair.difference.estimate, "test": pair.test}
            line |= {"p": pair.p_value, "p_holm": pair.corrected, "p_mcnemar": pair.mcnemar}
        for column in (*SCORES, *COSTS):
            line[column.name] = column.mean(row)
            line[f"{column.name}_std"] = deviation(column.values(row))
        line |= {f"{name}_front": front[index] for name, front in fronts.items()}
        lines.append(line)
    return pd.DataFrame(lines)


def _typed(column: pd.Series) -> pd.Series:
    """Numbers as numbers: MLflow keeps every parameter as text."""
    try:
        return pd.to_numeric(column)
    except ValueError:
        return column
