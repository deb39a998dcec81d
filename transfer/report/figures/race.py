"""A figure of a sweep in rungs: who finished, and who was dropped when."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from transfer.compare.criterion import criterion_of
from transfer.compare.rows import Row
from transfer.compare.statistics import Floats
from transfer.report.figures.chart import Chart
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
from transfer.tracking.metrics import METRICS


def plot_race(
    rows: Sequence[Row], dropped: Sequence[tuple[str, Floats]], words: Words
) -> Chart | None:
    """The best validation score so far, by epoch: a colour a configuration that finished, and a
    grey line as far as it was trained for each that was dropped. None where either are missing.

    Args:
        dropped: of each configuration its name, and by epoch the score of its best one so far.
    """
    if not rows or not any(len(curve) for _, curve in dropped):
        return None
    criterion = criterion_of(run for row in rows for run in row.runs)
    metric = METRICS[criterion.validation]
    scale = 100 if metric.unit == "%" else 1
    figure, [axes] = new_figure(4.6)

    def mark(label: str, epochs: Sequence[int], scores: Floats) -> None:
        values = {
            words("plot.epoch"): [str(epoch) for epoch in epochs],
            words.header(metric): [metric.text(score) for score in scores],
        }
        figure.mark(axes, label, values, np.stack([epochs, scale * scores], axis=1))

    for label, curve in dropped:
        epochs = range(1, len(curve) + 1)
        axes.plot(epochs, scale * curve, color=GREY, alpha=0.5, linewidth=0.9)
        axes.plot(epochs[-1:], scale * curve[-1:], color=GREY, marker="x", linestyle="")
        mark(label, epochs, curve)
    best_so_far = np.maximum if criterion.sign > 0 else np.minimum
    for index, row in enumerate(rows[:SHOWN]):
        scores = row.by_epoch(f"val/{criterion.name}")
        curve = best_so_far.accumulate(scores.to_numpy()).mean(axis=1)
        axes.plot(scores.index, scale * curve, color=color_of(index), label=row.label)
        mark(row.label, list(scores.index), curve)
    finished = [len(row.by_epoch(f"val/{criterion.name}")) for row in rows]
    _mark_rungs(axes, [len(curve) for _, curve in dropped], finished, words)
    label_axes(axes, words("plot.epoch"), words.header(metric), whole_numbers=True)
    note_some(axes, SHOWN, len(rows), words)
    legend_below(figure, axes)
    return figure


def _mark_rungs(axes: Axes, dropped: Sequence[int], finished: Sequence[int], words: Words) -> None:
    """A line at each epoch at which some were dropped, with how many went on: not what was tried
    after a race over fewer epochs.

    Args:
        dropped, finished: how many epochs each was trained.
    """
    inside = axes.get_xaxis_transform()
    for epoch in sorted(set(dropped)):
        axes.axvline(epoch, color=GREY, linestyle=":", linewidth=1)
        text = words("plot.go_on", count=sum(each > epoch for each in (*dropped, *finished)))
        axes.text(epoch, 1.01, text, transform=inside, color=GREY, fontsize=9, ha="center")
