"""The figures of reports, runs and predictions."""

from __future__ import annotations

from transfer.report.figures.classes import plot_classes, plot_confusion, plot_reliability
from transfer.report.figures.curves import plot_curves, plot_iteration_loss
from transfer.report.figures.job import plot_job, write_curves
from transfer.report.figures.prediction import plot_prediction
from transfer.report.figures.scores import plot_accuracy_against_cost, plot_parallel
from transfer.report.figures.style import save_png, use_font

__all__ = [
    "plot_accuracy_against_cost",
    "plot_classes",
    "plot_confusion",
    "plot_curves",
    "plot_iteration_loss",
    "plot_job",
    "plot_parallel",
    "plot_prediction",
    "plot_reliability",
    "save_png",
    "use_font",
    "write_curves",
]
