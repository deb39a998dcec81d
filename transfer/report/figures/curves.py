"""Figures of training: curves over epochs and iterations."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfer.compare.rows import Row
from transfer.report.figures.style import (
    COLORS,
    GREY,
    SHOWN,
    color_of,
    label_axes,
    legend_below,
    new_figure,
    note_some,
)
from transfer.report.language import Words
from transfer.tracking.history import History


def plot_job(history: History, freeze_epochs: int, title: str) -> Figure:
    """One run: iteration loss, and accuracy and loss of training and validation by epoch."""
    words = Words()
    figure = new_figure(3.2)
    iteration, accuracy, loss = figure.subplots(1, 3)
    _draw_steps(iteration, history, COLORS[0], label=None)
    for axes, name in ((accuracy, "acc"), (loss, "loss")):
        for split, color in (("train", COLORS[1]), ("val", COLORS[0])):
            curve = history.epochs[f"{split}/{name}"]
            axes.plot(curve.index, _scaled(curve, name), color=color, label=split)
        _mark_unfreeze(axes, {freeze_epochs}, int(history.epochs.index.max()), words)
    label_axes(iteration, "iteration", "training loss")
    label_axes(accuracy, "epoch", "accuracy, %", whole_numbers=True)
    label_axes(loss, "epoch", "loss", whole_numbers=True)
    accuracy.legend(frameon=False)
    figure.suptitle(title)
    return figure


def plot_curves(rows: Sequence[Row], words: Words) -> Figure:
    """Accuracy and loss over epochs, a colour a configuration; a band spans the seeds."""
    figure = new_figure(4.6)
    panels = figure.subplots(1, 2)
    shown = rows[:SHOWN]
    for axes, name in zip(panels, ("acc", "loss"), strict=True):
        for place, row in enumerate(shown):
            for split, line in (("val", "-"), ("train", ":")):
                curve = row.by_epoch(f"{split}/{name}")
                if curve.empty:
                    continue
                mean = _scaled(curve.mean(axis=1), name)
                label = row.label if split == "val" else None
                axes.plot(curve.index, mean, line, color=color_of(place), label=label)
                if curve.shape[1] > 1 and split == "val":
                    low, high = (
                        _scaled(end, name) for end in (curve.min(axis=1), curve.max(axis=1))
                    )
                    axes.fill_between(curve.index, low, high, color=color_of(place), alpha=0.15)
        _mark_unfreeze(axes, {row.freeze_epochs for row in shown}, _last_epoch(shown), words)
    label_axes(panels[0], words("plot.epoch"), words("plot.accuracy_lines"), whole_numbers=True)
    label_axes(panels[1], words("plot.epoch"), words("plot.loss_lines"), whole_numbers=True)
    note_some(panels[-1], SHOWN, len(rows), words)
    legend_below(figure, panels[0])
    return figure


def plot_iteration_loss(rows: Sequence[Row], words: Words) -> Figure:
    """Loss of training batches, raw and smoothed, of each configuration's first seed."""
    figure = new_figure(4.2)
    axes = figure.subplots()
    for place, row in enumerate(rows[:SHOWN]):
        _draw_steps(axes, row.histories[0], color_of(place), row.label)
    label_axes(axes, words("plot.iteration"), words("plot.iteration_lines"))
    note_some(axes, SHOWN, len(rows), words)
    legend_below(figure, axes)
    return figure


def _mark_unfreeze(axes: Axes, freeze_epochs: set[int], last_epoch: int, words: Words) -> None:
    for number in sorted(freeze_epochs):
        if 0 < number < last_epoch:
            # Between the last frozen epoch and the first in which everything trains.
            axes.axvline(number + 0.5, color=GREY, linestyle="--", linewidth=1)
            place = axes.get_xaxis_transform()
            axes.text(number + 0.6, 0.02, words("plot.unfreeze"), transform=place, color=GREY)


def _draw_steps(axes: Axes, history: History, color: str, label: str | None) -> None:
    losses = pd.Series(history.losses)
    smooth = losses.rolling(max(len(losses) // 50, 1), min_periods=1).mean()
    axes.plot(history.iterations, losses, color=color, alpha=0.2, linewidth=0.7)
    axes.plot(history.iterations, smooth, color=color, linewidth=1.5, label=label)


def _scaled(values: pd.Series, name: str) -> pd.Series:
    return 100 * values if name == "acc" else values


def _last_epoch(rows: Sequence[Row]) -> int:
    curves = [history.epochs for row in rows for history in row.histories]
    return max((int(epochs.index.max()) for epochs in curves if len(epochs)), default=1)
