"""Figures of training: curves over epochs and iterations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfer.report.figures.style import (
    GREY,
    SHOWN,
    color_of,
    label_axes,
    legend_below,
    new_figure,
    note_some,
)
from transfer.report.language import Words
from transfer.tracking.artifacts import History

if TYPE_CHECKING:
    # A run that draws its own curves needs no statistics.
    from transfer.compare.rows import Row


def plot_curves(rows: Sequence[Row], words: Words) -> Figure:
    """Accuracy and loss over epochs, a colour a configuration; a band spans the seeds."""
    figure = new_figure(4.6)
    panels = figure.subplots(1, 2)
    shown = rows[:SHOWN]
    for axes, name in zip(panels, ("acc", "loss"), strict=True):
        for index, row in enumerate(shown):
            color = color_of(index)
            training, validation = row.by_epoch(f"train/{name}"), row.by_epoch(f"val/{name}")
            draw_curve(axes, validation.mean(axis=1), name, color=color, label=row.label)
            draw_curve(axes, training.mean(axis=1), name, color=color, linestyle=":")
            if validation.shape[1] > 1:
                scale = _scale(name)
                low, high = scale * validation.min(axis=1), scale * validation.max(axis=1)
                axes.fill_between(validation.index, low, high, color=color, alpha=0.15)
        mark_unfreeze(axes, {row.freeze_epochs for row in shown}, _last_epoch(shown), words)
    label_axes(panels[0], words("plot.epoch"), words("plot.accuracy_lines"), whole_numbers=True)
    label_axes(panels[1], words("plot.epoch"), words("plot.loss_lines"), whole_numbers=True)
    note_some(panels[-1], SHOWN, len(rows), words)
    legend_below(figure, panels[0])
    return figure


def plot_iteration_loss(rows: Sequence[Row], words: Words) -> Figure:
    """Loss of training batches, raw and smoothed, of each configuration's first seed."""
    figure = new_figure(4.2)
    axes = figure.subplots()
    for index, row in enumerate(rows[:SHOWN]):
        draw_steps(axes, row.histories[0], color_of(index), row.label)
    label_axes(axes, words("plot.iteration"), words("plot.iteration_lines"))
    note_some(axes, SHOWN, len(rows), words)
    legend_below(figure, axes)
    return figure


def draw_curve(
    axes: Axes,
    curve: pd.Series,
    name: str,
    *,
    color: str,
    label: str | None = None,
    linestyle: str = "-",
) -> None:
    """A line over epochs, accuracies in percent; nothing of an empty curve.

    Args:
        name: "acc" or "loss".
    """
    if not curve.empty:
        axes.plot(curve.index, _scale(name) * curve, linestyle, color=color, label=label)


def draw_steps(axes: Axes, history: History, color: str, label: str | None) -> None:
    """The loss of training batches: pale as it was, and its running mean."""
    losses = pd.Series(history.losses)
    smooth = losses.rolling(max(len(losses) // 50, 1), min_periods=1).mean()
    axes.plot(history.iterations, losses, color=color, alpha=0.2, linewidth=0.7)
    axes.plot(history.iterations, smooth, color=color, linewidth=1.5, label=label)


def mark_unfreeze(axes: Axes, freeze_epochs: set[int], last_epoch: int, words: Words) -> None:
    """A line between the last frozen epoch and the first in which everything trains."""
    for number in sorted(freeze_epochs):
        if 0 < number < last_epoch:
            axes.axvline(number + 0.5, color=GREY, linestyle="--", linewidth=1)
            inside = axes.get_xaxis_transform()
            axes.text(number + 0.6, 0.02, words("plot.unfreeze"), transform=inside, color=GREY)


def _scale(name: str) -> int:
    return 100 if name == "acc" else 1


def _last_epoch(rows: Sequence[Row]) -> int:
    curves = [history.epochs for row in rows for history in row.histories]
    return max((int(epochs.index.max()) for epochs in curves if len(epochs)), default=1)
