"""Runs in, a comparison out: a table with figures, in Markdown. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transfer.report.export import rows_frame
from transfer.report.markdown import comparison_table, outcome_table, write_markdown
from transfer.report.plots import (
    plot_accuracy_against_macs,
    plot_curves,
    plot_iteration_loss,
)
from transfer.report.table import build_rows
from transfer.tracking.find import RunRecord, find_sweep_jobs, read_history

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["comparison_table", "outcome_table", "write_report"]

_FIGURES = (
    ("Accuracy and loss over epochs", "accuracy_and_loss.png", plot_curves),
    ("Iteration loss", "iteration_loss.png", plot_iteration_loss),
    ("Accuracy against arithmetic", "accuracy_against_macs.png", plot_accuracy_against_macs),
)


def write_report(client: MlflowClient, sweeps: Sequence[RunRecord], folder: Path) -> Path:
    """Compare the runs of one or more sweeps, from the store alone; nothing is trained.

    Writes report.md, report.csv and figures/ into `folder`; those of a single sweep are kept as
    artifacts of its run as well.

    Returns:
        The path of report.md.
    """
    # A run counts once, in however many of the sweeps it is.
    runs = list({run.id or run.name: run for run in _jobs_of(client, sweeps)}.values())
    histories = {run.id: read_history(client, run.id) for run in runs if run.finished}
    rows = build_rows(runs, histories)
    figures_folder = folder / "figures"
    figures_folder.mkdir(parents=True, exist_ok=True)
    figures = []
    for title, name, plot in _FIGURES if rows else ():
        plot(rows).savefig(figures_folder / name)
        figures.append((title, f"figures/{name}"))
    report = folder / "report.md"
    report.write_text(write_markdown(rows, runs, sweeps, figures), encoding="utf-8")
    table = folder / "report.csv"
    rows_frame(rows).to_csv(table, index=False, float_format="%.6g")
    if len(sweeps) == 1:
        for path in (report, table):
            client.log_artifact(sweeps[0].id, str(path))
        client.log_artifacts(sweeps[0].id, str(figures_folder), "figures")
    return report


def _jobs_of(client: MlflowClient, sweeps: Sequence[RunRecord]) -> list[RunRecord]:
    return [run for sweep in sweeps for run in find_sweep_jobs(client, sweep.id)]
