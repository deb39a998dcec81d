"""The report's sections, from rows to blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from transfer.report.columns import ACCURACY, COSTS, SCORES, Column, deviation, percent
from transfer.report.comparison import Comparison, Pair
from transfer.report.cost import pareto_front
from transfer.report.document import Block, Bullets, Code, Heading, Paragraph, Picture, Table
from transfer.report.findings import findings, p_text
from transfer.report.language import Words
from transfer.report.observations import observations
from transfer.report.selection import Selection
from transfer.report.table import Row, constant_keys
from transfer.tracking.find import RunRecord

_FRONT = "◆"
# Nobody reads a longer table; report.csv has all.
_MOST_ROWS = 100
_MOST_PAIRS = 20


def build_document(
    rows: Sequence[Row],
    comparison: Comparison,
    selection: Selection,
    pictures: Sequence[Picture],
    words: Words,
) -> list[Block]:
    """The whole report; rows stand best first."""
    title = words("title", rows=len(rows), runs=len(selection.runs))
    blocks: list[Block] = [Heading(title, 1), Bullets(_facts(selection, words))]
    if rows:
        blocks += build_summary(rows, comparison, words)
        blocks += _ranking_legend(rows, comparison, words)
        blocks += [Heading(words("section.cost")), cost_table(rows, words)]
        blocks += [Paragraph(words("legend.cost"))]
    if len(rows) > 1:
        blocks += [Heading(words("section.pairs")), pair_table(rows, comparison, words)]
        blocks += [Paragraph(words("legend.pairs"))]
        if len(rows) - 1 > _MOST_PAIRS:
            blocks.append(Paragraph(words("legend.more", count=len(rows) - 1 - _MOST_PAIRS)))
    unfinished = [run for run in selection.runs if not run.finished]
    if unfinished:
        blocks += [Heading(words("section.unfinished")), outcome_table(unfinished, words)]
    for picture in pictures:
        blocks += [Heading(picture.title), picture]
    if rows:
        blocks += [Heading(words("section.transfer")), *observations(rows[:_MOST_ROWS], words)]
        constants = constant_keys([row.runs[0] for row in rows])
        lines = "\n".join(f"{key}={value}" for key, value in constants.items())
        blocks += [Heading(words("section.constants")), Code(lines)]
    return blocks


def build_summary(rows: Sequence[Row], comparison: Comparison, words: Words) -> list[Block]:
    """The findings and the ranking alone, of at least one row."""
    return [
        Heading(words("section.findings")),
        Bullets(findings(rows, comparison, words)),
        Heading(words("section.ranking")),
        ranking_table(rows, comparison, words),
    ]


def ranking_table(rows: Sequence[Row], comparison: Comparison, words: Words) -> Table:
    """How good each configuration is: rank, choices, accuracy with its interval, other scores."""
    rows = rows[:_MOST_ROWS]
    keys = list(rows[0].keys)
    names = ["seeds", "test/acc", "std", "interval", "interval_of"]
    headers = [words("column.rank"), *keys, *(words(f"column.{name}") for name in names)]
    best = percent(max((ACCURACY.mean(row) for row in rows), default=math.nan))
    cells = []
    for row, rank in zip(rows, comparison.ranks[:_MOST_ROWS], strict=True):
        accuracy, seeds = row.accuracy, len(row.runs)
        mean = percent(accuracy.estimate) if math.isfinite(accuracy.estimate) else "–"
        spread = deviation(row.metric("test/acc"))
        cells.append(
            [
                str(rank) if math.isfinite(accuracy.estimate) else "–",
                *row.keys.values(),
                str(seeds),
                f"**{mean}**" if mean == best and len(rows) > 1 else mean,
                percent(spread) if math.isfinite(spread) else "–",
                f"{percent(accuracy.low)} – {percent(accuracy.high)}" if accuracy.known else "–",
                words("interval.seeds" if seeds > 1 else "interval.images")
                if accuracy.known
                else "–",
            ]
        )
    return _with_columns(Table(headers, cells, len(keys) + 1), SCORES, rows, words)


def cost_table(rows: Sequence[Row], words: Words) -> Table:
    """What each configuration costs, those on the Pareto front of accuracy against it marked."""
    rows = rows[:_MOST_ROWS]
    keys = list(rows[0].keys)
    headers = [*keys, words("column.test/acc")]
    cells = [
        [*row.keys.values(), text] for row, text in zip(rows, ACCURACY.cells(rows), strict=True)
    ]
    known = [column for column in COSTS if any(math.isfinite(column.mean(row)) for row in rows)]
    table = _with_columns(Table(headers, cells, len(keys)), known, rows, words)
    accuracies = [row.accuracy.estimate for row in rows]
    for place, column in enumerate(known, start=len(headers)):
        sign = 1 if column.best is min else -1
        front = pareto_front(accuracies, [sign * column.mean(row) for row in rows])
        for line, on_front in zip(table.cells, front, strict=True):
            if on_front:
                line[place] = f"{line[place]} {_FRONT}"  # type: ignore[index]
    return table


def pair_table(rows: Sequence[Row], comparison: Comparison, words: Words) -> Table:
    """The best configuration against each of the next, with the tests that tell them apart."""
    names = ["configuration", "difference", "interval", "test", "p", "holm", "mcnemar", "apart"]
    pairs = list(comparison.against_best())[:_MOST_PAIRS]
    cells = [_pair_cells(pair, rows[pair.second].label, words) for pair in pairs]
    return Table([words(f"column.{name}") for name in names], cells, 1)


def outcome_table(runs: Iterable[RunRecord], words: Words) -> Table:
    """Runs that did not finish, with what stopped them."""
    cells = [[run.name, run.status, run.tags.get("transfer.error", ""), run.id] for run in runs]
    names = ["run", "status", "error", "id"]
    return Table([words(f"column.{name}") for name in names], cells, len(names))


def _with_columns(
    table: Table, columns: Sequence[Column], rows: Sequence[Row], words: Words
) -> Table:
    headers = [*table.headers, *(words(f"column.{column.name}") for column in columns)]
    measured = [column.cells(rows) for column in columns]
    cells = [
        [*line, *(texts[place] for texts in measured)] for place, line in enumerate(table.cells)
    ]
    return Table(headers, cells, table.numbers_from)


def _pair_cells(pair: Pair, label: str, words: Words) -> list[str]:
    difference = pair.difference
    points = f"{100 * difference.estimate:.2f}" if math.isfinite(difference.estimate) else "–"
    bounds = "–"
    if difference.known:
        bounds = f"{100 * difference.low:.2f} – {100 * difference.high:.2f}".replace("-", "−")
    apart = "–" if pair.test == "none" else words("yes" if pair.told_apart else "no")
    return [
        label,
        points,
        bounds,
        words(f"test.{pair.test}", seeds=pair.seeds),
        p_text(pair.p_value),
        p_text(pair.corrected),
        p_text(pair.mcnemar),
        apart,
    ]


def _ranking_legend(rows: Sequence[Row], comparison: Comparison, words: Words) -> list[Block]:
    names = ["test/acc", "interval", "test/ece", "worst_class", "train/acc", "gap", "loss_spread"]
    items = [words(f"legend.{name}") for name in names]
    if any(row.runs[0].params.get("protocol.validation") == "test" for row in rows):
        items.append(words("legend.steered"))
    blocks: list[Block] = [
        Paragraph(words("legend.ranking", pairs=comparison.tested)),
        Bullets(items),
    ]
    if len(rows) > _MOST_ROWS:
        blocks.append(Paragraph(words("legend.more", count=len(rows) - _MOST_ROWS)))
    return blocks


def _facts(selection: Selection, words: Words) -> list[str]:
    runs, sweeps = selection.runs, selection.sweeps

    def of_runs(key: str) -> str:
        found = dict.fromkeys(run.params[key] for run in runs if key in run.params)
        return ", ".join(found) or words("unknown")

    def of_tags(tag: str, otherwise: str) -> str:
        carriers = sweeps or runs
        return ", ".join(dict.fromkeys(each.tags.get(tag, otherwise) for each in carriers))

    facts = [] if sweeps else [words("fact.all")]
    for sweep in sweeps:
        facts += [
            words("fact.command", text=sweep.tags.get("transfer.command", words("unknown"))),
            words("fact.sweep", name=sweep.tags["transfer.sweep"], id=sweep.id),
        ]
    if selection.where:
        facts.append(words("fact.where", where=selection.where, left_out=selection.left_out))
    return [
        *facts,
        words("fact.data", name=of_runs("data.name"), digest=of_runs("data.digest")),
        words("fact.images", count=of_runs("data.test_images")),
        words("fact.weights", name=of_runs("weights"), digest=of_runs("weights.digest")),
        words(
            "fact.device",
            device=of_runs("device"),
            precision=of_runs("precision"),
            threads=of_runs("threads"),
        ),
        words("fact.versions", text=of_tags("transfer.versions", words("unknown"))),
        words("fact.commit", text=of_tags("mlflow.source.git.commit", words("no_git"))),
    ]
