"""The rows of a comparison for other programs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pandas as pd

from transfer.report.columns import COLUMNS
from transfer.report.table import Row


def rows_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """A row a configuration: its keys, its number of seeds, mean and standard deviation of each
    measure (accuracies as fractions); the deviation of a single seed is missing."""
    lines = []
    for row in rows:
        line: dict[str, object] = {**row.keys, "seeds": len(row.runs)}
        for column in COLUMNS:
            values = column.values(row)
            line[column.name] = statistics.fmean(values)
            line[f"{column.name}_std"] = statistics.stdev(values) if len(values) > 1 else None
        lines.append(line)
    return pd.DataFrame(lines)
