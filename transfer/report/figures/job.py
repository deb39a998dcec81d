"""The figure of one run: its curves, drawn from what its folder keeps."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from transfer.report.figures.curves import draw_curve, draw_steps, mark_unfreeze
from transfer.report.figures.style import COLORS, label_axes, new_figure
from transfer.report.language import Words
from transfer.system.disk import atomic_write
from transfer.tracking.artifacts import History, condense


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
    history = condense(pd.read_parquet(folder / "history.parquet"))
    path = folder / "curves.png"
    with atomic_write(path) as file:
        plot_job(history, freeze_epochs, title).savefig(file, format="png")
    return path


def plot_job(history: History, freeze_epochs: int, title: str) -> Figure:
    """Iteration loss, and accuracy and loss of training and validation by epoch."""
    words = Words()
    figure = new_figure(3.2)
    iteration, accuracy, loss = figure.subplots(1, 3)
    draw_steps(iteration, history, COLORS[0], label=None)
    for axes, name in ((accuracy, "acc"), (loss, "loss")):
        for split, color in (("train", COLORS[1]), ("val", COLORS[0])):
            curve = history.epochs[f"{split}/{name}"]
            draw_curve(axes, curve, name, color=color, label=split)
        mark_unfreeze(axes, {freeze_epochs}, int(history.epochs.index.max()), words)
    label_axes(iteration, "iteration", "training loss")
    label_axes(accuracy, "epoch", "accuracy (%)", whole_numbers=True)
    label_axes(loss, "epoch", "loss", whole_numbers=True)
    accuracy.legend(frameon=False)
    figure.suptitle(title)
    return figure
