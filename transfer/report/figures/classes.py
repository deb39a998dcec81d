"""Figures of single classes and of confidence, from saved predictions."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from transfer.compare.rows import Row
from transfer.report.columns import points
from transfer.report.figures.chart import Chart
from transfer.report.figures.style import (
    GREY,
    MARKERS,
    color_of,
    label_axes,
    legend_below,
    new_figure,
    note_some,
    short_name,
)
from transfer.report.language import Words

# A figure with more classes than this has no room for their names, or for their bars.
_NAMED = 30
_COMPARED = 4


def plot_classes(rows: Sequence[Row], words: Words) -> Chart | None:
    """Each class's accuracy above or below its mean over the configurations shown, in points.

    None where no row, or one alone, has predictions of this test set.
    """
    compared = _alike(rows)[:3]
    if len(compared) < 2:
        return None
    accuracies = np.stack([row.class_accuracy for row in compared])
    differences = 100 * (accuracies - accuracies.mean(axis=0))
    # With many classes, those that differ most.
    spread = np.nan_to_num(np.ptp(differences, axis=0), nan=-1)
    chosen = np.sort(np.argsort(-spread, kind="stable")[:_NAMED])
    names = [short_name(compared[0].answers[0].names[index]) for index in chosen]
    figure, [axes] = new_figure(4.2)
    width = 0.8 / len(compared)
    for index, row in enumerate(compared):
        offsets = np.arange(len(chosen)) + (index - (len(compared) - 1) / 2) * width
        values = differences[index, chosen]
        axes.bar(offsets, values, width, color=color_of(index), label=row.label)
        shares = 100 * accuracies[index, chosen]
        texts = {
            words("plot.true"): [compared[0].answers[0].names[each] for each in chosen],
            words("plot.test_accuracy"): [f"{share:.2f}" for share in shares],
            words("plot.difference"): [points(value / 100) for value in values],
        }
        middles = np.stack([offsets, values / 2], axis=1)
        reach = np.stack([np.full(len(values), width / 2), np.abs(values) / 2], axis=1)
        figure.mark(axes, row.label, texts, middles, reach=reach)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xticks(np.arange(len(chosen)), names, rotation=45, ha="right")
    label_axes(axes, "", words("plot.difference"))
    note_some(axes, len(compared), len(rows), words)
    legend_below(figure, axes)
    return figure


def plot_confusion(rows: Sequence[Row], words: Words) -> Chart | None:
    """The best configuration's answers, as a share of each true class, its replicates together."""
    if not rows or not rows[0].answers:
        return None
    counts = np.sum([each.confusion for each in rows[0].answers], axis=0)
    totals = counts.sum(axis=1, keepdims=True)
    shares = 100 * counts / np.maximum(totals, 1)
    classes = len(shares)
    figure, [axes] = new_figure(6.0)
    # Shades of mistakes alone: the diagonal would outshine them.
    mistakes = np.where(np.eye(classes, dtype=bool), np.nan, shares)
    # Where there is none, nothing is dark.
    most = float(np.nanmax(mistakes, initial=0)) or 1.0
    image = axes.imshow(mistakes, cmap="Blues", vmin=0, vmax=most)
    figure.colorbar(image, ax=axes, label="%")
    if classes <= _NAMED:
        names = [short_name(name) for name in rows[0].answers[0].names]
        axes.set_xticks(range(classes), names, rotation=45, ha="right")
        axes.set_yticks(range(classes), names)
        _mark_shares(figure, shares, rows[0].answers[0].names, words)
    if classes <= 12:
        _write_shares(axes, shares, most)
    axes.set_xlabel(words("plot.predicted"))
    axes.set_ylabel(words("plot.true"))
    # A square is narrower than the legend below other figures.
    axes.set_title(fill(rows[0].label, 70), fontsize="medium")
    return figure


def plot_reliability(rows: Sequence[Row], words: Words) -> Chart | None:
    """Accuracy against confidence in 15 bins, of the best configurations; on the diagonal, 80 %
    sure means right in 80 of 100.

    None where no bin of any has enough test images.
    """
    upper = enumerate(_alike(rows)[:_COMPARED])
    # Each in the colour that it has elsewhere.
    compared = [(index, row) for index, row in upper if _bins(row)[1].any()]
    if not compared:
        return None
    figure, [axes] = new_figure(4.6)
    diagonal = [0, 100]
    axes.plot(diagonal, diagonal, "--", color=GREY, linewidth=1, label=words("plot.ideal"))
    for index, row in compared:
        places, enough = _bins(row)
        places = places[enough]
        axes.plot(
            *places.T,
            marker=MARKERS[index % len(MARKERS)],
            color=color_of(index),
            label=row.label,
        )
        texts = [[f"{value:.1f}" for value in each] for each in places.T]
        names = (words("plot.confidence"), words("plot.test_accuracy"))
        figure.mark(axes, row.label, dict(zip(names, texts, strict=True)), places)
    label_axes(axes, words("plot.confidence"), words("plot.test_accuracy"))
    axes.set_aspect("equal")
    note_some(axes, len(compared), len(rows), words)
    legend_below(figure, axes)
    return figure


def _bins(row: Row) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean confidence and accuracy in each bin, in %, [B, 2], and which bins, [B], tell something:
    a few images do not."""
    predictions = row.answers[0]
    confidence, accuracy, count = predictions.reliability()
    enough = count >= max(10, len(predictions.labels) // 1000)
    return 100 * np.stack([confidence, accuracy], axis=1), enough


def _alike(rows: Sequence[Row]) -> list[Row]:
    """Rows with predictions of as many classes as the first of them."""
    known = [row for row in rows if row.answers]
    return [row for row in known if row.answers[0].classes == known[0].answers[0].classes]


def _write_shares(axes: Axes, shares: NDArray[np.float64], darkest: float) -> None:
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
    for (true, predicted), share in np.ndenumerate(shares):
        color = "white" if true != predicted and share > 0.6 * darkest else "black"
        if share >= 0.05:
            axes.text(predicted, true, f"{share:.1f}", color=color, **style)


def _mark_shares(
    figure: Chart, shares: NDArray[np.float64], names: Sequence[str], words: Words
) -> None:
    [axes, *_] = figure.axes
    for true, name in enumerate(names):
        # What is never said has nothing to say.
        predicted = np.flatnonzero(shares[true]).tolist()
        texts = {
            words("plot.predicted"): [names[index] for index in predicted],
            words("plot.share"): [f"{share:.1f}" for share in shares[true, predicted]],
        }
        places = [(index, true) for index in predicted]
        figure.mark(axes, f"{words('plot.true')}: {name}", texts, places, reach=(0.5, 0.5))
