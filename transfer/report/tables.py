"""The report's tables: how good, at which cost, significant by which test, what did not finish."""

import math
from collections.abc import Iterable, Sequence

from transfer.compare.comparison import Comparison, Pair
from transfer.compare.rows import Row
from transfer.report.columns import ACCURACY, COSTS, SCORES, Column, deviation, percent
from transfer.report.document import Table
from transfer.report.findings import p_text
from transfer.report.language import Words
from transfer.tracking.find import RunRecord

# Nobody reads a longer table; report.csv has all.
MOST_ROWS = 100
MOST_PAIRS = 20
_FRONT = "◆"
_LONGEST_ERROR = 300


def ranking_table(rows: Sequence[Row], comparison: Comparison, words: Words) -> Table:
    """How good each configuration is: rank, choices, accuracy with its interval, other scores."""
    rows = rows[:MOST_ROWS]
    keys = list(rows[0].keys)
    names = ["std", "interval", "interval_of"]
    headers = [words("column.rank"), *keys, words("column.seeds"), words.header(ACCURACY.metric)]
    headers += [words(f"column.{name}") for name in names]
    best = percent(max((ACCURACY.mean(row) for row in rows), default=math.nan))
    cells = []
    for row, rank in zip(rows, comparison.ranks[:MOST_ROWS], strict=True):
        accuracy = row.accuracy
        known = math.isfinite(accuracy.estimate)
        mean = percent(accuracy.estimate) if known else "–"
        spread = deviation(row.metric("test/acc"))
        cells.append(
            [
                str(rank) if known else "–",
                *row.keys.values(),
                str(len(row.runs)),
                f"**{mean}**" if mean == best and len(rows) > 1 else mean,
                percent(spread) if math.isfinite(spread) else "–",
                f"{percent(accuracy.low)} – {percent(accuracy.high)}" if accuracy.known else "–",
                words(f"interval.{row.interval_over}"),
            ]
        )
    return _with_columns(Table(headers, cells, len(keys) + 1), SCORES, rows, words)


def cost_table(rows: Sequence[Row], words: Words) -> Table:
    """What each configuration costs, those on the Pareto front of accuracy against it marked."""
    rows = rows[:MOST_ROWS]
    devices = [_devices(row, words) for row in rows]
    # Times of one device say nothing of another.
    by_device = len(set(devices)) > 1
    headers = [*rows[0].keys, *([words("column.device")] if by_device else [])]
    cells = [
        [*row.keys.values(), *([device] if by_device else [])]
        for row, device in zip(rows, devices, strict=True)
    ]
    known = [column for column in COSTS if any(math.isfinite(column.mean(row)) for row in rows)]
    table = Table(headers, cells, len(headers))
    table = _with_columns(table, [ACCURACY, *known], rows, words)
    for index, column in enumerate(known, start=len(headers) + 1):
        for line, on_front in zip(table.cells, column.front(rows), strict=True):
            if on_front:
                line[index] = f"{line[index]} {_FRONT}"
    return table


def pair_table(rows: Sequence[Row], comparison: Comparison, words: Words) -> Table:
    """The best configuration against each of the next, with what tests say of the difference."""
    names = ["configuration", "difference", "interval", "test", "p", "holm", "mcnemar"]
    pairs = list(comparison.against_best())[:MOST_PAIRS]
    cells = [_pair_cells(pair, rows[pair.second].label, words) for pair in pairs]
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


def _devices(row: Row, words: Words) -> str:
    found = [
        words("device", **{key: run.params.get(key, "–") for key in ("device", "threads")})
        for run in row.runs
    ]
    return "; ".join(dict.fromkeys(found))


def _with_columns(
    table: Table, columns: Sequence[Column], rows: Sequence[Row], words: Words
) -> Table:
    headers = [*table.headers, *(words.header(column.metric) for column in columns)]
    measured = zip(*(column.cells(rows) for column in columns), strict=True)
    cells = [[*line, *texts] for line, texts in zip(table.cells, measured, strict=True)]
    return Table(headers, cells, table.numbers_from)


def _pair_cells(pair: Pair, label: str, words: Words) -> list[str]:
    difference = pair.difference
    points = f"{100 * difference.estimate:.2f}" if math.isfinite(difference.estimate) else "–"
    bounds = "–"
    if difference.known:
        bounds = f"{100 * difference.low:.2f} – {100 * difference.high:.2f}".replace("-", "−")
    return [
        label,
        points,
        bounds,
        words(f"test.{pair.test}", seeds=pair.seeds),
        *map(p_text, (pair.p_value, pair.corrected, pair.mcnemar)),
        "–" if pair.test == "none" else words("yes" if pair.significant else "no"),
    ]
