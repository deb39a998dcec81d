"""Figures: one style, colours that colour-blind readers can tell apart, no interactive backend."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from PIL import Image

from transfer.report.table import Row

# Okabe and Ito 2008, https://jfly.uni-koeln.de/color/, darkest first; yellow is left out, which
# is too faint for a line on white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARK = "#666666"
_WIDTH_INCHES = 9.0
_DPI = 110


def plot_job(history: pd.DataFrame, freeze_epochs: int, title: str) -> Figure:
    """One run: iteration loss, and accuracy and loss of training and validation by epoch."""
    figure = _figure(3.2)
    iteration, accuracy, loss = figure.subplots(1, 3)
    steps = history[history["metric"] == "step/loss"]
    _draw_steps(iteration, steps, _COLORS[0], label=None)
    for axes, name in ((accuracy, "acc"), (loss, "loss")):
        for split, color in (("train", _COLORS[1]), ("val", _COLORS[0])):
            series = history[history["metric"] == f"{split}/{name}"]
            axes.plot(series["epoch"], _scaled(series["value"], name), color=color, label=split)
        _mark_unfreeze(axes, {freeze_epochs}, int(history["epoch"].max()))
    _label(iteration, "iteration", "training loss")
    _label(accuracy, "epoch", "accuracy, %")
    _label(loss, "epoch", "loss")
    accuracy.legend(frameon=False)
    figure.suptitle(title)
    return figure


def plot_curves(rows: Sequence[Row]) -> Figure:
    """Accuracy and loss over epochs, a colour a configuration; a band spans the seeds."""
    figure = _figure(4.6)
    panels = figure.subplots(1, 2)
    for axes, name in zip(panels, ("acc", "loss"), strict=True):
        for index, row in enumerate(rows):
            color = _COLORS[index % len(_COLORS)]
            for split, line in (("val", "-"), ("train", ":")):
                curve = row.by_epoch(f"{split}/{name}")
                mean = _scaled(curve.mean(axis=1), name)
                label = row.label if split == "val" else None
                axes.plot(curve.index, mean, line, color=color, label=label)
                if curve.shape[1] > 1 and split == "val":
                    low, high = curve.min(axis=1), curve.max(axis=1)
                    axes.fill_between(
                        curve.index,
                        _scaled(low, name),
                        _scaled(high, name),
                        color=color,
                        alpha=0.15,
                    )
        _mark_unfreeze(axes, {row.freeze_epochs for row in rows}, _last_epoch(rows))
    _label(panels[0], "epoch", "accuracy, % (solid: validation, dotted: train)")
    _label(panels[1], "epoch", "loss (solid: validation, dotted: train)")
    _legend_below(figure, panels[0])
    return figure


def plot_iteration_loss(rows: Sequence[Row]) -> Figure:
    """Loss of every training batch, raw and smoothed, of each configuration's first seed."""
    figure = _figure(4.2)
    axes = figure.subplots()
    for index, row in enumerate(rows):
        history = row.histories[0]
        steps = history[history["metric"] == "step/loss"]
        _draw_steps(axes, steps, _COLORS[index % len(_COLORS)], row.label)
    _label(axes, "iteration", "training loss (pale: raw, solid: running mean)")
    _legend_below(figure, axes)
    return figure


def plot_accuracy_against_macs(rows: Sequence[Row]) -> Figure:
    """Test accuracy against multiply-accumulates of one image; bars span mean ± std over seeds."""
    figure = _figure(4.2)
    axes = figure.subplots()
    for index, row in enumerate(rows):
        accuracy = [100 * value for value in row.metric("test/acc")]
        spread = statistics.stdev(accuracy) if len(accuracy) > 1 else 0.0
        axes.errorbar(
            statistics.fmean(row.metric("profile/macs")) / 1e6,
            statistics.fmean(accuracy),
            yerr=spread or None,
            fmt="osD^vP"[index % 6],
            markersize=8,
            capsize=3,
            color=_COLORS[index % len(_COLORS)],
            label=row.label,
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(0.15)
    _label(axes, "million multiply-accumulates an image (log scale)", "test accuracy, %")
    _legend_below(figure, axes)
    return figure


def plot_prediction(picture: Image.Image, bars: Sequence[tuple[str, float]]) -> Figure:
    """The picture with its predicted class above it and the probabilities (0 to 1) beside it."""
    figure = _figure(3.6)
    image, chart = figure.subplots(1, 2)
    image.imshow(picture)
    image.set_axis_off()
    image.set_title(f"{bars[0][0]} ({bars[0][1]:.1%})")
    names = [name for name, _ in bars][::-1]
    shares = [100 * probability for _, probability in bars][::-1]
    chart.barh(names, shares, color=_COLORS[0])
    chart.set_xlim(0, 100)
    _label(chart, "probability, %", "")
    return figure


def _figure(height_inches: float) -> Figure:
    # A Figure of its own, not pyplot's: nothing global, safe in threads, freed when dropped.
    return Figure(figsize=(_WIDTH_INCHES, height_inches), dpi=_DPI, layout="constrained")


def _label(axes: Axes, x: str, y: str) -> None:
    if x == "epoch":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = 1 if any(len(label) > 50 for label in labels) else 2
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def _mark_unfreeze(axes: Axes, freeze_epochs: set[int], last_epoch: int) -> None:
    for number in sorted(freeze_epochs):
        if 0 < number < last_epoch:
            # Between the last frozen epoch and the first in which everything trains.
            axes.axvline(number + 0.5, color=_MARK, linestyle="--", linewidth=1)
            axes.text(
                number + 0.6,
                0.02,
                "unfreeze",
                transform=axes.get_xaxis_transform(),
                color=_MARK,
            )


def _draw_steps(axes: Axes, steps: pd.DataFrame, color: str, label: str | None) -> None:
    window = max(len(steps) // 50, 1)
    smooth = steps["value"].rolling(window, min_periods=1).mean()
    iterations = steps["iteration"].astype(int)
    axes.plot(iterations, steps["value"], color=color, alpha=0.2, linewidth=0.7)
    axes.plot(iterations, smooth, color=color, linewidth=1.5, label=label)


def _scaled(values: pd.Series, name: str) -> pd.Series:
    return 100 * values if name == "acc" else values


def _last_epoch(rows: Sequence[Row]) -> int:
    return max(int(history["epoch"].max()) for row in rows for history in row.histories)
