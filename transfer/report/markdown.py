"""The report as Markdown that also reads well as plain text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from tabulate import tabulate

from transfer.report.columns import COLUMNS, Column
from transfer.report.observations import observations
from transfer.report.table import Row, constant_keys
from transfer.tracking.find import RunRecord

_LEGEND = """\
Best value of each column in bold; mean ± standard deviation where a row has several seeds.

- `test acc`: on the test set, read once, with the weights that were best on validation.
- `final train acc`: of the last epoch, on augmented images.
- `train − test`: the one minus the other, in points; large means overfitting.
- `loss spread`: standard deviation of the iteration loss over the last epoch; small means stable.
- `trainable`: parameters that train in the first epoch.
- `MACs`: multiply-accumulates of one image.
- `latency`: median for one image, on the device named above."""

_STEERED = """
- Rows with `protocol.validation` = `test` let the test set steer, as the tutorial did: their
  accuracy is no estimate for new images."""


def write_markdown(
    rows: Sequence[Row],
    runs: Sequence[RunRecord],
    sweeps: Sequence[RunRecord],
    figures: Sequence[tuple[str, str]],
) -> str:
    """The whole report.

    Args:
        rows: one a configuration, in the order of the table.
        runs: every run of the sweeps, the unfinished ones included.
        figures: title and path relative to the report, of each.
    """
    parts = [f"# Comparison: {len(rows)} configurations, {len(runs)} runs", _header(runs, sweeps)]
    if rows:
        parts += [comparison_table(rows), _legend(rows)]
    unfinished = [run for run in runs if not run.finished]
    if unfinished:
        parts += ["## Not finished", outcome_table(unfinished)]
    parts += [f"## {title}\n\n![{title}]({path})" for title, path in figures]
    if rows:
        parts += ["## What transfer does", observations(rows)]
        parts += ["## The same in all runs", _constants(rows)]
    return "\n\n".join(parts) + "\n"


def comparison_table(rows: Sequence[Row]) -> str:
    """A row a configuration, the best value of each measured column bold."""
    several_seeds = any(len(row.runs) > 1 for row in rows)
    cells: list[list[str]] = [
        [*row.keys.values(), *([str(len(row.runs))] if several_seeds else [])] for row in rows
    ]
    titles = [*rows[0].keys, *(["seeds"] if several_seeds else [])]
    alignment = ["left"] * len(rows[0].keys) + ["right"] * several_seeds
    for column in COLUMNS:
        titles.append(column.title)
        alignment.append("right")
        for line, text in zip(cells, _column_cells(column, rows), strict=True):
            line.append(text)
    return tabulate(
        cells, headers=titles, tablefmt="pipe", colalign=alignment, disable_numparse=True
    )


def outcome_table(runs: Sequence[RunRecord]) -> str:
    """Runs that did not finish, with what stopped them."""
    cells = [
        [run.name, run.status, run.tags.get("transfer.error", "").replace("|", "\\|"), run.id]
        for run in runs
    ]
    headers = ["run", "status", "error", "id"]
    return tabulate(cells, headers=headers, tablefmt="pipe", disable_numparse=True)


def _legend(rows: Sequence[Row]) -> str:
    steered = any(row.runs[0].params.get("protocol.validation") == "test" for row in rows)
    return _LEGEND + _STEERED if steered else _LEGEND


def _column_cells(column: Column, rows: Sequence[Row]) -> list[str]:
    values = [column.values(row) for row in rows]
    means = [statistics.fmean(seeds) for seeds in values]
    known = [mean for mean in means if math.isfinite(mean)]
    # Values that read the same are equally good: 11.17 M is no better than 11.17 M.
    best = column.text(column.best(known)) if known else ""
    cells = []
    for mean, seeds in zip(means, values, strict=True):
        if not math.isfinite(mean):
            cells.append("–")
            continue
        text = column.text(mean)
        spread = statistics.stdev(seeds) if len(seeds) > 1 else 0.0
        full = f"{text} ± {column.text(spread)}" if spread > 0 else text
        # Bold tells nothing where every row is the same.
        cells.append(f"**{full}**" if text == best and len(set(known)) > 1 else full)
    return cells


def _header(runs: Sequence[RunRecord], sweeps: Sequence[RunRecord]) -> str:
    def of_runs(key: str) -> str:
        found = dict.fromkeys(run.params[key] for run in runs if key in run.params)
        return ", ".join(found) or "unknown"

    def of_sweeps(tag: str, otherwise: str) -> str:
        return ", ".join(dict.fromkeys(sweep.tags.get(tag, otherwise) for sweep in sweeps))

    facts = []
    for sweep in sweeps:
        facts += [
            ("command", f"`{sweep.tags.get('transfer.command', 'unknown')}`"),
            ("sweep", f"{sweep.tags['transfer.sweep']} (MLflow run {sweep.id})"),
        ]
    facts += [
        ("data", f"{of_runs('data.name')}, digest {of_runs('data.digest')}"),
        ("weights", f"{of_runs('weights')}, digest {of_runs('weights.digest')}"),
        ("device", f"{of_runs('device')}, {of_runs('precision')}"),
        ("versions", of_sweeps("transfer.versions", "unknown")),
        ("git commit", of_sweeps("mlflow.source.git.commit", "not a git checkout")),
    ]
    return "\n".join(f"- {name}: {text}" for name, text in facts)


def _constants(rows: Sequence[Row]) -> str:
    keys = constant_keys([row.runs[0] for row in rows])
    lines = "\n".join(f"{key}={value}" for key, value in keys.items())
    return f"```text\n{lines}\n```"
