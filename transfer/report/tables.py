"""A comparison as tables for people: how good, how sure, at which cost, and what did not finish."""

import math
from collections.abc import Collection, Iterable, Sequence

from transfer.compare.comparison import Comparison, Pair
from transfer.compare.rows import Row
from transfer.compare.statistics import Interval
from transfer.compare.verdicts import Verdict
from transfer.report.columns import (
    ACCURACY,
    COSTS,
    MACS,
    TIME,
    Column,
    behind,
    of_criterion,
    p_text,
    score_of,
    shown_scores,
)
from transfer.report.document import Table
from transfer.report.facts import evaluates_augmented, validates_apart
from transfer.report.language import Words
from transfer.report.verdicts import (
    chance,
    has_answer,
    missing_text,
    replicates_kind,
    verdict_of_second,
)
from transfer.system.markdown import literal
from transfer.tracking.run_record import PAUSED, PAUSED_TAG, RunRecord

# Nobody reads a longer table; report.csv has all.
MOST_ROWS = 100
MOST_PAIRS = 20
FRONT = "◆"
DISTURBED = "†"
_OTHERWISE = "‡"
_LONGEST_ERROR = 300
# Measured otherwise in runs of before other jobs were counted.
_CHANGED = ("profile/latency", "profile/peak_memory")


def ranking_table(comparison: Comparison, words: Words) -> Table:
    """What to choose by, in ten columns: rank, configuration, validation, test, the verdict on the
    recipe and that on the network as against the first, and what is paid for it."""
    rows = comparison.rows[:MOST_ROWS]
    test, validation = of_criterion(comparison.criterion)
    ranks = comparison.ranks[: len(rows)] if has_answer(comparison) else [None] * len(rows)
    pairs = [comparison.pair(0, index) for index in range(1, len(rows))]
    decision = comparison.decision
    # Alone, or without any accuracy, nothing is the best.
    several = decision is not None and len(rows) > 1 and has_answer(comparison)
    best = [chance(value) for value in decision.probability_best] if decision and several else []
    columns = {
        words("column.rank"): ["–" if rank is None else f"{rank}" for rank in ranks],
        words("column.configuration"): [literal(row.label) for row in rows],
        words(f"column.replicates.{replicates_kind(rows)}"): [str(len(row.runs)) for row in rows],
        words.header(validation.metric): validation.cells(rows, spread=False),
        words.header(test.metric): _scores(rows, comparison, words),
        words("column.recipe"): ["–", *(_cell(pair.recipe, pair, rows, words) for pair in pairs)],
        words("column.network"): ["–", *(_cell(pair.network, pair, rows, words) for pair in pairs)],
        words("column.best"): (best + ["–"] * len(rows))[: len(rows)],
        **{
            words.header(column.metric): column.cells(rows, spread=False)
            for column in (MACS, TIME)
            if column.known(rows)
        },
    }
    return _table(columns, numbers_from=2, words={5, 6})


def measures_table(comparison: Comparison, rows: Sequence[Row], words: Words) -> Table:
    """What the ranking has no room for: each choice in a column, and the other measures."""
    rows, spread = rows[:MOST_ROWS], of_criterion(comparison.criterion)[0]
    columns = {key: [literal(row.keys[key]) for row in rows] for key in rows[0].keys}
    numbers_from = len(columns)
    if any(len(row.runs) > 1 for row in rows):
        header = "column.std" if comparison.criterion.sign > 0 else "column.std_loss"
        columns[words(header, measure=words(f"column.{spread.name}"))] = [
            spread.metric.text(spread.spread(row)) for row in rows
        ]
    for column in shown_scores(rows, comparison.criterion):
        columns[words.header(column.metric)] = column.cells(rows)
    return _table(columns, numbers_from)


def cost_table(rows: Sequence[Row], words: Words) -> Table:
    """What each configuration costs; marked are those on the Pareto front of accuracy against it,
    and what was measured while other jobs ran on the machine, or otherwise than now."""
    rows = rows[:MOST_ROWS]
    columns = {words("column.configuration"): [literal(row.label) for row in rows]}
    devices = [_devices(row, words) for row in rows]
    # Times of one device say nothing of another.
    if len(set(devices)) > 1:
        columns[words("column.device")] = devices
    numbers_from = len(columns)
    columns[words.header(ACCURACY.metric)] = ACCURACY.cells(rows)
    for column in filter(lambda each: each.known(rows), COSTS):
        texts = column.cells(rows)
        for index, (row, on_front) in enumerate(zip(rows, column.front(rows), strict=True)):
            texts[index] += f" {FRONT}" if on_front else ""
            texts[index] += f" {DISTURBED}" if column.disturbed(row) else ""
            texts[index] += f" {_OTHERWISE}" if _otherwise(column, row) else ""
        columns[words.header(column.metric)] = texts
    return _table(columns, numbers_from)


def is_disturbed(rows: Sequence[Row]) -> bool:
    """Whether the table of costs marks what was measured beside other jobs."""
    return any(column.disturbed(row) for column in COSTS for row in rows[:MOST_ROWS])


def is_otherwise(rows: Sequence[Row]) -> bool:
    """Whether the table of costs marks what was measured otherwise than now."""
    return any(_otherwise(column, row) for column in COSTS for row in rows[:MOST_ROWS])


def pair_table(comparison: Comparison, words: Words) -> Table:
    """The first against each of the next: the difference, and what the two tests say of it."""
    criterion = comparison.criterion
    names = [
        "configuration",
        "behind" if criterion.sign > 0 else "behind_loss",
        "interval",
        f"common.{replicates_kind(comparison.rows)}",
        *("recipe", "recipe_p", "recipe_holm", "network", "network_p", "network_holm"),
    ]
    cells = []
    for index in range(1, min(len(comparison.rows), MOST_PAIRS + 1)):
        pair = comparison.pair(0, index)
        found = pair.difference
        low, high = (behind(bound, criterion) for bound in (found.low, found.high))
        line = [
            literal(comparison.rows[index].label),
            behind(found.estimate, criterion) if math.isfinite(found.estimate) else "–",
            words("range", low=low, high=high) if found.known else "–",
            str(pair.replicates),
        ]
        for verdict in (pair.recipe, pair.network):
            line.append(words(f"verdict.{verdict_of_second(verdict)}"))
            line += map(p_text, (verdict.p_value, verdict.corrected))
        cells.append(line)
    return Table([words(f"column.{name}") for name in names], cells, 1, words={4, 7})


def unsound_table(comparison: Comparison, words: Words) -> Table:
    """Those that have no rank, and why."""
    rows = comparison.unsound[:MOST_ROWS]
    columns = {
        words("column.configuration"): [literal(row.label) for row in rows],
        words("column.why"): [_why(row, words) for row in rows],
        words(f"column.replicates.{replicates_kind(rows)}"): [str(len(row.runs)) for row in rows],
    }
    for column in reversed(of_criterion(comparison.criterion)):
        columns[words.header(column.metric)] = [column.text(row) for row in rows]
    return _table(columns, numbers_from=2)


def outcome_table(runs: Iterable[RunRecord], words: Words) -> Table:
    """Runs that did not finish, with what was asked of them and what stopped them."""
    cells = [
        [
            literal(run.name),
            literal(run.tags.get("transfer.overrides", "–")),
            _status(run, words),
            literal(" ".join(run.tags.get("transfer.error", "").split())[:_LONGEST_ERROR]),
            run.id,
        ]
        for run in runs
    ]
    names = ["run", "overrides", "status", "error", "id"]
    return Table([words(f"column.{name}") for name in names], cells, len(names))


def _status(run: RunRecord, words: Words) -> str:
    epoch = run.tags.get(PAUSED_TAG)
    return words("status.paused", epoch=epoch) if run.status == PAUSED and epoch else run.status


def _scores(rows: Sequence[Row], comparison: Comparison, words: Words) -> list[str]:
    """The measure of the test images with its interval, the best in bold."""
    column = of_criterion(comparison.criterion)[0]
    intervals = (score_of(row, comparison.criterion) for row in rows)
    return [
        f"{text} ({_bounds(interval, column, words)})" if interval.known else text
        for text, interval in zip(column.cells(rows, spread=False), intervals, strict=True)
    ]


def _bounds(interval: Interval, column: Column, words: Words) -> str:
    low, high = (column.metric.text(bound) for bound in (interval.low, interval.high))
    return words("range", low=low, high=high)


def _cell(verdict: Verdict, pair: Pair, rows: Sequence[Row], words: Words) -> str:
    """A verdict as seen from the second of a pair, and of an unknown one what it lacks."""
    if verdict.kind == "unknown":
        return words("verdict.missing", missing=missing_text(verdict, pair, rows, words))
    return words(f"verdict.{verdict_of_second(verdict)}")


def _why(row: Row, words: Words) -> str:
    reasons = {
        "steered": not validates_apart(row.params),
        "augmented": evaluates_augmented(row.params),
    }
    return words("semicolon").join(words(f"why.{name}") for name, is_so in reasons.items() if is_so)


def _otherwise(column: Column, row: Row) -> bool:
    counted = any(name in row.runs[0].metrics for name in ("profile/other_jobs", "time/other_jobs"))
    return not counted and column.name.startswith(_CHANGED) and bool(column.known([row]))


def _table(columns: dict[str, list[str]], numbers_from: int, words: Collection[int] = ()) -> Table:
    return Table(list(columns), list(zip(*columns.values(), strict=True)), numbers_from, words)


def _devices(row: Row, words: Words) -> str:
    found = [
        words("device", device=run.device or "–", threads=run.params.get("threads", "–"))
        for run in row.runs
    ]
    return "; ".join(dict.fromkeys(found))
