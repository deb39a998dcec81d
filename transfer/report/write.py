"""Runs in, a comparison out: Markdown, one HTML page and tables for programs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from transfer.compare.comparison import Comparison
from transfer.compare.earlier import with_later_keys
from transfer.compare.keys import label_keys, short, sort_keys
from transfer.compare.replicates import by_test_set
from transfer.compare.rows import Row, build_rows
from transfer.compare.screened import Agreement, agreement_with
from transfer.report.document import Block, Picture, to_html, to_markdown
from transfer.report.dropped import Race, dropped_curves, is_dropped
from transfer.report.figures.classes import plot_classes, plot_confusion, plot_reliability
from transfer.report.figures.curves import plot_curves, plot_iteration_loss
from transfer.report.figures.effort import plot_effort
from transfer.report.figures.fonts import use_font
from transfer.report.figures.forms import plot_forms
from transfer.report.figures.race import plot_race
from transfer.report.figures.scores import plot_accuracy_against_cost, plot_parallel
from transfer.report.figures.style import save_png
from transfer.report.frame import rows_frame
from transfer.report.gallery import GALLERIES, build_galleries
from transfer.report.language import Words
from transfer.report.phone import reported_forms
from transfer.report.search import SEARCH_FIGURE, search_blocks
from transfer.report.sections import Part, build_document, build_summary
from transfer.system.disk import DiskError, disk_fault
from transfer.system.errors import UserError, first_line
from transfer.tracking.artifacts import (
    NO_HISTORY,
    read_history,
    read_predictions,
)
from transfer.tracking.examples import read_examples
from transfer.tracking.fetch import fetch_artifact, read_curve
from transfer.tracking.run_record import RunRecord
from transfer.tracking.screens import TABLE, find_screens, join_screens, read_screen
from transfer.tracking.searches import SEARCH, read_search
from transfer.tracking.selection import Selection
from transfer.tracking.store import Client, answering

if TYPE_CHECKING:
    from transfer.report.figures.chart import Chart

Content = TypeVar("Content")
Plot = Callable[[Sequence[Row], Words], "Chart | None"]

_FIGURES: dict[str, Plot] = {
    "accuracy_and_loss": plot_curves,
    "iteration_loss": plot_iteration_loss,
    "accuracy_against_cost": plot_accuracy_against_cost,
    "classes": plot_classes,
    "confusion": plot_confusion,
    "reliability": plot_reliability,
    "parallel": plot_parallel,
    "effort": plot_effort,
}
_RACE, _FORMS = "race", "forms"
# Those that say nothing without a word of how to read them.
_EXPLAINED = ("effort",)
# A point of accuracy: less matters to few.
EQUIVALENT_WITHIN = 0.01
# What MLflow takes.
_LONGEST_TAG = 8000


def write_report(
    client: Client,
    selection: Selection,
    folder: Path,
    language: str = "en",
    equivalent_within: float = EQUIVALENT_WITHIN,
) -> Path:
    """Compare runs from the store alone; nothing is trained.

    Writes report.md, report.html, report.csv, report.parquet and figures/ into `folder`; those of
    a single whole sweep are kept as artifacts of its run as well.

    Args:
        language: "en" or "zh".
        equivalent_within: a fraction of accuracy; differences that are surely smaller are called
            equivalent.

    Returns:
        The path of report.md.

    Raises:
        ConfigError: an unknown language, no font with its characters, or a store that does not
            take the report.
        DiskError: `folder` cannot be written.
    """
    with _into(folder):
        return _write(client, selection, folder, Words(language), equivalent_within)


@contextmanager
def _into(folder: Path) -> Iterator[None]:
    """Make one line of a folder that cannot be written, whichever library met it."""
    try:
        yield
    except Exception as error:
        # What an OSError was raised in the handling of, as by Pillow, is no reason.
        reason = first_line(error) if isinstance(error, OSError) else disk_fault(error)
        if reason is None or isinstance(error, UserError):
            raise
        if isinstance(error, OSError) and error.strerror:
            reason = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        raise DiskError(f"{folder} cannot be written ({reason})") from error


def _write(
    client: Client, selection: Selection, folder: Path, words: Words, equivalent_within: float
) -> Path:
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    _remove_figures(folder / "figures")
    with use_font(words.language):
        groups = by_test_set(selection.runs)
        dropped = with_later_keys(run for run in selection.runs if is_dropped(run))
        parts = []
        for number, runs in enumerate(groups, start=1):
            comparison = Comparison(_rows(client, runs, dropped), equivalent_within)
            prefix = f"part-{number}-" if len(groups) > 1 else ""
            galleries = build_galleries(
                comparison,
                lambda run: _read(client, run, "examples.npz", read_examples, optional=True),
                words,
                folder,
                prefix,
            )
            figures = _draw(comparison, folder, words, prefix)
            screen = _screen(client, comparison)
            phone = _phone(comparison, folder, words, prefix)
            parts.append(Part(comparison, [*galleries, *figures], screen, phone))
        race = _race(client, dropped, parts, folder, words)
        searches = _searches(client, selection, folder, words)
    blocks = build_document(parts, selection, words, race, searches)
    page = folder / "report.html"
    page.write_text(to_html(blocks, folder, words.language), encoding="utf-8")
    frame = rows_frame([part.comparison for part in parts])
    frame.to_csv(folder / "report.csv", index=False, float_format="%.6g")
    frame.to_parquet(folder / "report.parquet", index=False)
    # Last: where it is, all of it is.
    report = folder / "report.md"
    report.write_text(to_markdown(blocks), encoding="utf-8")
    if len(selection.sweeps) == 1 and not selection.where:
        [sweep] = selection.sweeps
        # One that was deleted meanwhile takes nothing.
        if not sweep.deleted:
            with answering(client.tracking_uri, "written"):
                _keep(client, sweep, folder, to_markdown(build_summary(parts, words)))
    return report


def _rows(client: Client, runs: Sequence[RunRecord], dropped: Sequence[RunRecord]) -> list[Row]:
    """Those that can be trusted are named by what differs among themselves, and from what was
    dropped on the way."""
    rows = build_rows(
        runs,
        lambda run: _read(client, run, "history.parquet", read_history) or NO_HISTORY,
        lambda run: _read(client, run, "predictions.npz", read_predictions),
    )
    firsts = [row.runs[0] for row in rows if row.sound]
    if not firsts:
        return rows
    configurations = {run.tags["transfer.configuration"]: run for run in dropped}
    firsts += configurations.values()
    shown = sort_keys(firsts).shown
    named = [short(key) for key in label_keys(shown, firsts)]
    return [
        replace(row, keys={short(k): row.params.get(k, "") for k in shown}, label_keys=named)
        if row.sound
        else row
        for row in rows
    ]


def _screen(client: Client, comparison: Comparison) -> Agreement | None:
    """How well screens that set the same test images apart told the outcome; None without any."""
    digests = {row.params.get("data.test_digest") for row in comparison.rows}
    if len(digests) != 1 or (digest := digests.pop()) is None:
        return None
    # What learned from more images, or fewer, tells of another sweep.
    counts = {row.params.get("data.train_images") for row in comparison.rows}
    screens = [
        run for run in find_screens(client, digest) if run.params.get("data.train_images") in counts
    ]
    found = (_read(client, run, TABLE, read_screen) for run in screens)
    tables = [table for table in found if table is not None]
    return agreement_with(comparison, join_screens(tables)) if tables else None


def _draw(comparison: Comparison, folder: Path, words: Words, prefix: str) -> list[Picture]:
    """Figures of what has a rank, or where nothing has of the others; `prefix` is that of their
    names."""
    pictures = []
    for name, plot in _FIGURES.items():
        figure = plot(comparison.rows or comparison.unsound, words)
        if figure is not None:
            path = f"figures/{prefix}{name}.png"
            save_png(figure, folder / path)
            text = words(f"figure.{name}.text") if name in _EXPLAINED else ""
            pictures.append(Picture(words(f"figure.{name}"), path, figure.marks(), text))
    return pictures


def _phone(comparison: Comparison, folder: Path, words: Words, prefix: str) -> Picture | None:
    """What networks were exported to; nothing where they were not, or not timed."""
    figure = plot_forms(reported_forms(comparison), words)
    if figure is None:
        return None
    path = f"figures/{prefix}{_FORMS}.png"
    save_png(figure, folder / path)
    return Picture(words(f"figure.{_FORMS}"), path, figure.marks())


def _race(
    client: Client, dropped: Sequence[RunRecord], parts: Sequence[Part], folder: Path, words: Words
) -> Race | None:
    """What a sweep in rungs dropped, drawn beside what it did not."""
    if not dropped or len(parts) != 1 or not (rows := parts[0].comparison.rows):
        return None
    criterion = parts[0].comparison.criterion
    with answering(client.tracking_uri, "read"):
        curves = {run.id: read_curve(client, run, f"val/{criterion.name}") for run in dropped}
    found = dropped_curves(dropped, curves, criterion, rows[0].label_keys)
    figure = plot_race(rows, found, words)
    if figure is None:
        return Race(curves)
    save_png(figure, folder / f"figures/{_RACE}.png")
    title, text = words(f"figure.{_RACE}"), words(f"figure.{_RACE}.text")
    return Race(curves, Picture(title, f"figures/{_RACE}.png", figure.marks(), text))


def _searches(client: Client, selection: Selection, folder: Path, words: Words) -> list[Block]:
    """What the sweeps tried in which Optuna chose the jobs; of one that cannot be told, a word."""
    blocks: list[Block] = []
    for number, sweep in enumerate(selection.sweeps, start=1):
        record = _read(client, sweep, SEARCH, read_search, optional=True)
        if record is not None and record.trials:
            prefix = f"part-{number}-" if len(selection.sweeps) > 1 else ""
            blocks += search_blocks(record, folder, words, prefix)
    return blocks


def _remove_figures(folder: Path) -> None:
    """Those of an earlier report in the same folder would tell of other runs."""
    for name in (*_FIGURES, *GALLERIES, _RACE, _FORMS, SEARCH_FIGURE):
        for path in [folder / f"{name}.png", *folder.glob(f"part-*-{name}.png")]:
            path.unlink(missing_ok=True)


def _keep(client: Client, sweep: RunRecord, folder: Path, summary: str) -> None:
    """Log the report to its sweep's run, where MLflow's pages show it; its description becomes the
    summary, as far as that fits: the answer comes first."""
    for name in ("report.md", "report.html", "report.csv"):
        client.log_artifact(sweep.id, str(folder / name))
    client.log_artifacts(sweep.id, str(folder / "figures"), "figures")
    if len(summary) > _LONGEST_TAG:
        summary = summary[:_LONGEST_TAG].rpartition("\n")[0]
    if summary.strip():
        client.set_tag(sweep.id, "mlflow.note.content", summary)


def _read(
    client: Client,
    run: RunRecord,
    name: str,
    read: Callable[[Path], Content],
    *,
    optional: bool = False,
) -> Content | None:
    """What an artifact says; None, and a word of it, where it is gone or damaged: what is left can
    be compared still. Of what is `optional`, a run that never had it has nothing to say."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            if optional and name not in {each.path for each in client.list_artifacts(run.id)}:
                return None
            return read(fetch_artifact(client, run, name, Path(folder)))
        except Exception as error:
            # Whatever a damaged file makes its reader raise.
            problem = f"{type(error).__name__}: {first_line(error)}"
            print(f"run {run.id} ({run.name}) has no {name} to read: {problem}", file=sys.stderr)
            return None
