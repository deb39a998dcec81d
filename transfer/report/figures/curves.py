"""Figures of training, over epochs and iterations: of one run, and of a report's configurations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfer.report.figures.chart import Chart
from transfer.report.figures.style import (
    COLORS,
    GREY,
    SHOWN,
    color_of,
    label_axes,
    legend_below,
    new_figure,
    note_some,
    save_png,
)
from transfer.report.language import Words
from transfer.system.disk import atomic_write
from transfer.tracking.artifacts import History, read_history

if TYPE_CHECKING:
    # A run that draws its own curves needs no statistics.
    from transfer.compare.rows import Row

# Accuracies are drawn in percent.
_SCALES = {"acc": 100, "loss": 1}


def write_curves(folder: Path, freeze_epochs: int, title: str) -> Path:
    """Draw a run's history.parquet into curves.png beside it, which is whole or not there.

    Args:
        folder: of the run.
        freeze_epochs: after how many epochs a line marks the unfreeze.
        title: such as the run's name.

    Returns:
        The path of curves.png.

    Raises:
        DiskError: the disk is full, read-only or broken.
    """
    history = read_history(folder / "history.parquet")
    path = folder / "curves.png"
    with atomic_write(path) as file:
        save_png(plot_job(history, freeze_epochs, title), file)
    return path


def plot_job(history: History, freeze_epochs: int, title: str) -> Figure:
    """Iteration loss, and accuracy and loss of training and validation by epoch."""
    figure, (iteration, accuracy, loss) = new_figure(3.2, 3)
    _draw_steps(iteration, history, COLORS[0], label=None)
    for axes, name in ((accuracy, "acc"), (loss, "loss")):
        for split, color in (("train", COLORS[1]), ("val", COLORS[0])):
            curve = _SCALES[name] * history.epochs[f"{split}/{name}"]
            _draw_curve(axes, curve, color=color, label=split)
        _mark_unfreeze(axes, {freeze_epochs}, [history], Words())
    label_axes(iteration, "iteration", "training loss")
    label_axes(accuracy, "epoch", "accuracy (%)", whole_numbers=True)
    label_axes(loss, "epoch", "loss", whole_numbers=True)
    accuracy.legend(frameon=False)
    figure.suptitle(title)
    return figure


def plot_curves(rows: Sequence[Row], words: Words) -> Chart:
    """Accuracy and loss over epochs, a colour a configuration; a band spans the
    replicates."""
    figure, panels = new_figure(4.6, 2)
    shown = rows[:SHOWN]
    histories = [history for row in shown for history in row.histories]
    for axes, (name, scale) in zip(panels, _SCALES.items(), strict=True):
        for index, row in enumerate(shown):
            color = color_of(index)
            training, validation = (
                scale * row.by_epoch(f"{split}/{name}") for split in ("train", "val")
            )
            means = {"val": validation.mean(axis=1), "train": training.mean(axis=1)}
            _draw_curve(axes, means["val"], color=color, label=row.label)
            _draw_curve(axes, means["train"], color=color, linestyle=":")
            for split, curve in means.items():
                values = {
                    words("plot.epoch"): [str(epoch) for epoch in curve.index],
                    words(f"plot.{split}_{name}"): [f"{value:.4g}" for value in curve],
                }
                figure.mark(axes, row.label, values, np.stack([curve.index, curve], axis=1))
            if validation.shape[1] > 1:
                low, high = validation.min(axis=1), validation.max(axis=1)
                axes.fill_between(validation.index, low, high, color=color, alpha=0.15)
        _mark_unfreeze(axes, {row.freeze_epochs for row in shown}, histories, words)
        label_axes(axes, words("plot.epoch"), words(f"plot.{name}_lines"), whole_numbers=True)
    note_some(panels[-1], SHOWN, len(rows), words)
    legend_below(figure, panels[0])
    return figure


def plot_iteration_loss(rows: Sequence[Row], words: Words) -> Chart:
    """Loss of training batches, raw and smoothed, of each configuration's first
    replicate."""
    figure, [axes] = new_figure(4.2)
    for index, row in enumerate(rows[:SHOWN]):
        history = row.histories[0]
        smooth = _draw_steps(axes, history, color_of(index), row.label)
        values = {
            words("plot.iteration"): [f"{number:,}" for number in history.iterations],
            words("plot.train_loss"): [f"{loss:.3f}" for loss in smooth],
        }
        figure.mark(axes, row.label, values, np.stack([history.iterations, smooth], axis=1))
    label_axes(axes, words("plot.iteration"), words("plot.iteration_lines"), whole_numbers=True)
    note_some(axes, SHOWN, len(rows), words)
    legend_below(figure, axes)
    return figure


def _draw_curve(axes: Axes, curve: pd.Series, linestyle: str = "-", **style: str) -> None:
    """A line over epochs; nothing of an empty curve, not even a label."""
    if not curve.empty:
        axes.plot(curve.index, curve, linestyle, **style)  # type: ignore[arg-type]


def _draw_steps(axes: Axes, history: History, color: str, label: str | None) -> pd.Series:
    """The loss of training batches: pale as it was, and its running mean, which it returns."""
    losses = pd.Series(history.losses)
    smooth = losses.rolling(max(len(losses) // 50, 1), min_periods=1).mean()
    axes.plot(history.iterations, losses, color=color, alpha=0.2, linewidth=0.7)
    axes.plot(history.iterations, smooth, color=color, linewidth=1.5, label=label)
    return smooth


def _mark_unfreeze(
    axes: Axes, freeze_epochs: set[int], histories: Iterable[History], words: Words
) -> None:
    """A line between the last frozen epoch and the first in which everything trains."""
    last_epoch = max((each.epochs.index.max() for each in histories if len(each.epochs)), default=1)
    for number in sorted(freeze_epochs):
        if 0 < number < last_epoch:
            axes.axvline(number + 0.5, color=GREY, linestyle="--", linewidth=1)
            inside = axes.get_xaxis_transform()
            axes.text(number + 0.6, 0.02, words("plot.unfreeze"), transform=inside, color=GREY)
