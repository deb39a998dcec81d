"""A comparison as tables: for people how good, at which cost, significant by which test and what
did not finish; for other programs all of it."""

import math
from collections.abc import Iterable, Sequence
from itertools import islice

import pandas as pd

from transfer.compare.comparison import Comparison
from transfer.compare.rows import Row
from transfer.compare.statistics import Interval
from transfer.report.columns import (
    ACCURACY,
    COSTS,
    SCORES,
    of_criterion,
    p_text,
    percent,
    shown_scores,
    tested,
)
from transfer.report.document import Table
from transfer.report.language import Words
from transfer.tracking.find import RunRecord
from transfer.tracking.metrics import Metric

# Nobody reads a longer table; report.csv has all.
MOST_ROWS = 100
MOST_PAIRS = 20
_FRONT = "◆"
_DISTURBED = "†"
_LONGEST_ERROR = 300
_INTERVALS = {
    "both": "seeds and test images",
    "seeds": "seeds",
    "images": "test images",
    "nothing": None,
}


def ranking_table(comparison: Comparison, words: Words) -> Table:
    """How good each configuration is: rank, choices, accuracy with its interval, other scores."""
    rows = comparison.rows[:MOST_ROWS]
    columns = {
        words("column.rank"): [
            str(rank) if rank and math.isfinite(row.accuracy.estimate) else "–"
            for row, rank in zip(rows, comparison.ranks, strict=False)
        ],
        **_keys(rows),
        words("column.seeds"): [str(len(row.runs)) for row in rows],
        words.header(ACCURACY.metric): ACCURACY.cells(rows, spread=False),
        words("column.std"): [percent(ACCURACY.spread(row)) for row in rows],
        words("column.interval"): [_bounds(row.accuracy) for row in rows],
        words("column.interval_of"): [words(f"interval.{row.accuracy.over}") for row in rows],
        **{
            words.header(column.metric): column.cells(rows)
            for column in shown_scores(rows, comparison.criterion)
        },
    }
    return _table(columns, numbers_from=len(rows[0].keys) + 1)


def cost_table(comparison: Comparison, words: Words) -> Table:
    """What each configuration costs; marked are those on the Pareto front of accuracy against it,
    and what was measured while other jobs ran on the machine."""
    rows = comparison.rows[:MOST_ROWS]
    columns = _keys(rows)
    devices = [_devices(row, words) for row in rows]
    # Times of one device say nothing of another.
    if len(set(devices)) > 1:
        columns[words("column.device")] = devices
    numbers_from = len(columns)
    columns[words.header(ACCURACY.metric)] = ACCURACY.cells(rows)
    for column in COSTS:
        if column.known(rows):
            texts = column.cells(rows)
            for index, (row, on_front) in enumerate(zip(rows, column.front(rows), strict=True)):
                texts[index] += f" {_FRONT}" if on_front else ""
                texts[index] += f" {_DISTURBED}" if column.disturbed(row) else ""
            columns[words.header(column.metric)] = texts
    return _table(columns, numbers_from)


def is_disturbed(comparison: Comparison) -> bool:
    """Whether the table of costs has such a mark."""
    rows = comparison.rows[:MOST_ROWS]
    return any(column.disturbed(row) for column in COSTS for row in rows)


def pair_table(comparison: Comparison, words: Words) -> Table:
    """The best configuration against each of the next, with what tests say of the difference."""
    measure = of_criterion(comparison.criterion)[0].metric
    by = f"test_by.{comparison.criterion.name}"
    behind = "difference" if measure.unit == "%" else "difference_loss"
    names = ["configuration", behind, "interval", "test", "p", "holm", "mcnemar"]
    cells = [
        [
            comparison.rows[pair.second].label,
            measure.text(pair.difference.estimate),
            _bounds(pair.difference, measure),
            words(f"test.{test}", seeds=pair.replicates, by=words(by)),
            *map(p_text, (verdict.p_value, verdict.corrected, pair.network.p_value)),
            "–" if test == "none" else words("yes" if verdict.significant else "no"),
        ]
        for pair in islice(comparison.against_best(), MOST_PAIRS)
        for test, verdict in (tested(pair),)
    ]
    return Table([words(f"column.{name}") for name in (*names, "significant")], cells, 1)


def outcome_table(runs: Iterable[RunRecord], words: Words) -> Table:
    """Runs that did not finish, with what was asked of them and what stopped them."""
    cells = [
        [
            run.name,
            run.tags.get("transfer.overrides", "–"),
            run.status,
            " ".join(run.tags.get("transfer.error", "").split())[:_LONGEST_ERROR],
            run.id,
        ]
        for run in runs
    ]
    names = ["run", "overrides", "status", "error", "id"]
    return Table([words(f"column.{name}") for name in names], cells, len(names))


def rows_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """A row a configuration: rank, keys, number of seeds, test accuracy with its interval, the
    difference to the best with its p-values, mean and standard deviation of each measure, whether
    it is on the Pareto front of each cost, and how many other jobs ran on the machine. Accuracies
    are fractions; what is not known, such as the deviation of a single seed, is missing.

    Args:
        comparisons: one a test set; where there are several, the column `part` counts them from 1.
    """
    frames = [_comparison_frame(comparison) for comparison in comparisons]
    if len(frames) > 1:
        for number, frame in enumerate(frames, start=1):
            frame.insert(0, "part", number)
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    for key in {key for comparison in comparisons for row in comparison.rows for key in row.keys}:
        # MLflow keeps every parameter as text.
        try:
            frame[key] = pd.to_numeric(frame[key])
        except ValueError:
            continue
    return frame


def _comparison_frame(comparison: Comparison) -> pd.DataFrame:
    fronts = {column.name: column.front(comparison.rows) for column in COSTS}
    beside = dict.fromkeys(column.beside for column in COSTS if column.beside)
    lines = []
    for index, row in enumerate(comparison.rows):
        line: dict[str, object] = {"rank": comparison.ranks[index], **row.keys}
        line |= {"seeds": len(row.runs), "test/acc": row.accuracy.estimate}
        line |= {"test/acc_low": row.accuracy.low, "test/acc_high": row.accuracy.high}
        line |= {"interval_of": _INTERVALS[row.accuracy.over], "test/acc_std": ACCURACY.spread(row)}
        if index:
            pair = comparison.pair(0, index)
            test, verdict = tested(pair)
            line |= {"behind_best": pair.difference.estimate, "test": test}
            line |= {"p": verdict.p_value, "p_holm": verdict.corrected}
            line["p_mcnemar"] = pair.network.p_value
        for column in (*SCORES, *COSTS):
            line |= {column.name: column.mean(row), f"{column.name}_std": column.spread(row)}
        line |= {f"{name}_front": front[index] for name, front in fronts.items()}
        # Of the seeds the one that had the most beside it.
        line |= {name: max(row.metric(name)) for name in beside}
        lines.append(line)
    return pd.DataFrame(lines)


def _keys(rows: Sequence[Row]) -> dict[str, list[str]]:
    return {key: [row.keys[key] for row in rows] for key in rows[0].keys}


def _table(columns: dict[str, list[str]], numbers_from: int) -> Table:
    return Table(list(columns), list(zip(*columns.values(), strict=True)), numbers_from)


def _bounds(interval: Interval, measure: Metric = ACCURACY.metric) -> str:
    low, high = (measure.text(bound).replace("-", "−") for bound in (interval.low, interval.high))
    return f"{low} – {high}" if interval.known else "–"


def _devices(row: Row, words: Words) -> str:
    found = [
        words("device", **{key: run.params.get(key, "–") for key in ("device", "threads")})
        for run in row.runs
    ]
    return "; ".join(dict.fromkeys(found))
