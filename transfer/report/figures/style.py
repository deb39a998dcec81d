"""One style: colours that colour-blind readers can tell apart, no interactive backend."""

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from transfer.report.figures.chart import Chart
from transfer.report.language import Words

# Okabe and Ito 2008, https://jfly.uni-koeln.de/color/, darkest first; yellow is left out, which
# is too faint for a line on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#666666"
MARKERS = "osD^vPX"
# Eyes do not distinguish more lines than this.
SHOWN = len(COLORS)

WIDTH_INCHES = 9.0
DPI = 110
_LINE_INCHES = 0.22
_LEGEND_CHARACTERS = 100  # that fit into the width
_NAME_CHARACTERS = 14  # that fit beside an axis


def new_figure(
    height_inches: float, panels: int = 1, *, sharey: bool = False
) -> tuple[Chart, Sequence[Axes]]:
    """A figure with panels beside one another."""
    # One of its own, not pyplot's: nothing global, safe in threads, freed when dropped.
    figure = Chart(figsize=(WIDTH_INCHES, height_inches), dpi=DPI, layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False, sharey=sharey)[0]


def save_png(figure: Figure, path: Path | BinaryIO) -> None:
    """As PNG with a palette of 256 colours: a third of the size, and no eye sees it.

    Draws once. `savefig` draws twice where there is a layout to find: without ink first.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, format="png", optimize=True)


def label_axes(axes: Axes, x: str, y: str, *, whole_numbers: bool = False) -> None:
    if whole_numbers:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = 1 if any(len(label) > 50 for label in labels) else 2
    wrapped = [fill(label, _LEGEND_CHARACTERS) for label in labels]
    lines = math.ceil(sum(label.count("\n") + 1 for label in wrapped) / columns)
    # A long legend takes its room from below, not from the axes.
    figure.set_figheight(figure.get_figheight() + _LINE_INCHES * max(lines - 2, 0))
    figure.legend(handles, wrapped, loc="outside lower center", ncols=columns, frameon=False)


def note_above(axes: Axes, text: str) -> None:
    """A word about what the figure leaves out."""
    axes.set_title(text, fontsize=9, color=GREY, loc="right")


def note_some(axes: Axes, shown: int, total: int, words: Words) -> None:
    """Say above a figure that it has the best configurations alone, where it does."""
    if shown < total:
        note_above(axes, words("plot.some", shown=shown, all=total))


def color_of(index: int) -> str:
    return COLORS[index % len(COLORS)]


def short_name(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…"
