"""A figure of models at equal effort."""

from collections.abc import Sequence

import numpy as np

from transfer.compare.criterion import criterion_of
from transfer.compare.effort import efforts
from transfer.compare.rows import Row
from transfer.report.figures.chart import Chart
from transfer.report.figures.style import (
    MARKERS,
    SHOWN,
    color_of,
    label_axes,
    legend_below,
    new_figure,
    note_above,
)
from transfer.report.language import Words
from transfer.tracking.metrics import METRICS

# Dots of more tries than this would be a line.
_DOTS = 30


def plot_effort(rows: Sequence[Row], words: Words) -> Chart | None:
    """The best validation score to expect after some tries, a colour a model.

    None where no model was tried with at least three rates.
    """
    models = efforts(rows)
    if not models:
        return None
    metric = METRICS[criterion_of(run for row in rows for run in row.runs).validation]
    scale = 100 if metric.unit == "%" else 1
    figure, [axes] = new_figure(4.2)
    for index, (model, effort) in enumerate(list(models.items())[:SHOWN]):
        tries = np.arange(1, len(effort.expected) + 1)
        color = color_of(index)
        marker = MARKERS[index % len(MARKERS)] if len(tries) <= _DOTS else ""
        expected, low, high = (scale * each for each in (effort.expected, effort.low, effort.high))
        axes.plot(tries, expected, color=color, label=model, marker=marker, markersize=5)
        axes.fill_between(tries, low, high, color=color, alpha=0.15, linewidth=0)
        texts = [metric.text(value) for value in effort.expected]
        bands = [
            f"{metric.text(lowest)} – {metric.text(highest)}"
            for lowest, highest in zip(effort.low, effort.high, strict=True)
        ]
        values = {
            words("plot.tries"): [str(number) for number in tries],
            words.header(metric): texts,
            words("plot.band"): bands,
        }
        figure.mark(axes, model, values, np.stack([tries, expected], axis=1))
    label_axes(axes, words("plot.tries"), words.header(metric), whole_numbers=True)
    if len(models) > SHOWN:
        note_above(axes, words("plot.models", shown=SHOWN, all=len(models)))
    legend_below(figure, axes)
    return figure
