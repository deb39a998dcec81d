"""Runs in, a comparison out: a table with figures, in Markdown. Knows no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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


def write_report(client: MlflowClient, sweep: RunRecord, folder: Path) -> Path:
    """Compare the runs of a sweep, from the store alone; nothing is trained.

    Writes report.md and figures/ into `folder`, and keeps both as artifacts of the sweep's run.

    Returns:
        The path of report.md.
    """
    runs = find_sweep_jobs(client, sweep.id)
    histories = {run.id: read_history(client, run.id) for run in runs if run.finished}
    rows = build_rows(runs, histories)
    figures_folder = folder / "figures"
    figures_folder.mkdir(parents=True, exist_ok=True)
    figures = []
    for title, name, plot in _FIGURES if rows else ():
        plot(rows).savefig(figures_folder / name)
        figures.append((title, f"figures/{name}"))
    report = folder / "report.md"
    report.write_text(write_markdown(rows, runs, sweep, figures), encoding="utf-8")
    client.log_artifact(sweep.id, str(report))
    client.log_artifacts(sweep.id, str(figures_folder), "figures")
    return report
