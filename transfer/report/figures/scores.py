"""Figures of whole runs: accuracy against cost, and all choices at once."""

import math
from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullFormatter

from transfer.compare.rows import Row
from transfer.report.columns import COSTS
from transfer.report.figures.chart import Chart
from transfer.report.figures.style import (
    GREY,
    MARKERS,
    SHOWN,
    color_of,
    label_axes,
    legend_below,
    new_figure,
    note_above,
    short_name,
)
from transfer.report.language import Words
from transfer.tracking.metrics import Metric

# Arithmetic, time to answer, time to train.
_AGAINST = ("profile/macs", "profile/latency_ms", "time/train_s")
# More lines are a surface, and more values beside an axis a bar.
_MOST_LINES = 40
_MOST_LEVELS = 12


def plot_accuracy_against_cost(rows: Sequence[Row], words: Words) -> Chart:
    """Test accuracy against arithmetic, latency and training time, with each Pareto front."""
    figure, panels = new_figure(4.4, 3, sharey=True)
    costs = [column for column in COSTS if column.name in _AGAINST]
    for axes, column in zip(panels, costs, strict=True):
        points = [(column.mean(row), 100 * row.accuracy.estimate) for row in rows]
        for index, (row, (cost, accuracy)) in enumerate(zip(rows, points, strict=True)):
            if not math.isfinite(cost):
                continue
            named = index < SHOWN
            bounds = [[accuracy - 100 * row.accuracy.low], [100 * row.accuracy.high - accuracy]]
            axes.errorbar(
                cost,
                accuracy,
                yerr=bounds if row.accuracy.known and named else None,
                fmt=MARKERS[index % len(MARKERS)] if named else ".",
                markersize=7 if named else 4,
                capsize=3,
                color=color_of(index) if named else GREY,
                label=row.label if named else None,
            )
            interval = f" [{100 * row.accuracy.low:.2f}, {100 * row.accuracy.high:.2f}]"
            values = {
                words.header(column.metric): [column.metric.text(cost)],
                words("plot.test_accuracy"): [
                    f"{accuracy:.2f}" + (interval if row.accuracy.known else "")
                ],
            }
            figure.mark(axes, row.label, values, [(cost, accuracy)])
        on_front = zip(points, column.front(rows), strict=True)
        _draw_front(axes, sorted({point for point, on in on_front if on}), words("plot.front"))
        _scale(axes, [cost for cost, _ in points], column.metric)
        y = words("plot.test_accuracy") if axes is panels[0] else ""
        label_axes(axes, words.header(column.metric), y)
        axes.margins(0.15)
    if len(rows) > SHOWN:
        note_above(panels[-1], words("plot.named", shown=SHOWN, all=len(rows)))
    legend_below(figure, panels[0])
    return figure


def plot_parallel(rows: Sequence[Row], words: Words) -> Chart | None:
    """A vertical axis a key that varies and one for test accuracy; a line a configuration.

    None where no more than two keys vary, or where no configuration has an accuracy.
    """
    names = list(rows[0].keys)
    accuracies = [100 * row.accuracy.estimate for row in rows]
    known = [value for value in accuracies if math.isfinite(value)]
    if not known or len(names) < 3:
        return None
    figure, [axes] = new_figure(4.4)
    levels = {name: _levels([row.keys[name] for row in rows]) for name in names}
    low, high = min(known), max(known)
    step = math.ceil(len(rows) / _MOST_LINES)
    for row, accuracy in list(zip(rows, accuracies, strict=True))[::step][::-1]:
        if not math.isfinite(accuracy):
            continue
        height = (accuracy - low) / (high - low) if high > low else 0.5
        heights = [levels[name][row.keys[name]] for name in names] + [height]
        color = colormaps["cividis"](1 - height)
        axes.plot(range(len(heights)), heights, color=color, linewidth=1.6)
        values = {**row.keys, words("plot.test_accuracy"): f"{accuracy:.2f}"}
        line = {name: [_number(text)] for name, text in values.items()}
        figure.mark(axes, "", line, list(enumerate(heights)))
    for index, name in enumerate(names):
        every = math.ceil(len(levels[name]) / _MOST_LEVELS)
        for text, height in list(levels[name].items())[::every]:
            label = axes.text(index + 0.02, height + 0.02, short_name(_number(text)), fontsize=8)
            # Readable where lines cross it.
            label.set_path_effects([withStroke(linewidth=3, foreground="white")])
    for text, height in ((f"{low:.1f}", 0.0), (f"{high:.1f}", 1.0)):
        axes.text(len(names) + 0.02, height, text, fontsize=9)
    axes.set_xticks(range(len(names) + 1), [*names, words("plot.test_accuracy")])
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", alpha=0.5)
    axes.set_ylim(-0.05, 1.1)
    if step > 1:
        note_above(axes, words("plot.every", step=step))
    return figure


def _draw_front(axes: Axes, on_front: Sequence[tuple[float, float]], label: str) -> None:
    if len(on_front) > 1:
        costs, accuracies = zip(*on_front, strict=True)
        # A step: between two points, the cheaper one's accuracy is what there is.
        axes.step(costs, accuracies, where="post", color=GREY, linewidth=1, label=label, zorder=0)


def _scale(axes: Axes, costs: Sequence[float], metric: Metric) -> None:
    known = [cost for cost in costs if math.isfinite(cost) and cost > 0]
    # Over a short range, a logarithmic axis has no room for two numbers.
    if len(known) == len(costs) and known and max(known) >= 5 * min(known):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    # 10 M rather than 1e7.
    count = metric.digits is None
    axes.xaxis.set_major_formatter(lambda x, _: metric.text(x) if count else f"{x:g}")


def _levels(values: Sequence[str]) -> dict[str, float]:
    """Each value's height, 0 to 1: numbers in order, words by alphabet."""

    def order(text: str) -> tuple[int, float, str]:
        try:
            return (0, float(text), "")
        except ValueError:
            return (1, 0.0, text)

    ordered = sorted(set(values), key=order)
    return {value: index / max(len(ordered) - 1, 1) for index, value in enumerate(ordered)}


def _number(text: str) -> str:
    """A number without the digits that binary fractions add, anything else as it is."""
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text
