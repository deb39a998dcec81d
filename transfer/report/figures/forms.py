"""A figure of what networks become when they are exported: accuracy against latency."""

import math
from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from transfer.compare.forms import FormRow
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
from transfer.report.tables import DISTURBED

_MARKERS = {"torch": "o", "pt2": "s", "onnx": "D", "onnx_int8": "v"}


def plot_forms(forms: Sequence[FormRow], words: Words) -> Chart | None:
    """Test accuracy against the latency of one image: a colour a network, a marker a form of it,
    and a line from the network itself to what it becomes. Forms on the front are filled, and a step
    joins them. None where fewer than two were timed.

    Args:
        forms: those of each network one after the other, as a report has them.
    """
    timed = [each for each in forms if math.isfinite(_latency(each) + each.measures.acc)]
    if len(timed) < 2:
        return None
    figure, [axes] = new_figure(4.6)
    networks = [list(group) for _, group in groupby(timed, key=lambda each: each.run.id)]
    for index, network in enumerate(networks):
        color = color_of(index) if index < SHOWN else GREY
        label = network[0].row.label if index < SHOWN else None
        axes.plot(*zip(*map(_place, network), strict=True), color=color, alpha=0.6, label=label)
        for each in network:
            _draw(axes, each, color)
            mark = f" {DISTURBED}" if each.measures.disturbed else ""
            texts = {words("column.form.latency"): [f"{_latency(each):.2f}{mark}"]}
            texts |= {words("plot.test_accuracy"): [f"{100 * each.measures.acc:.2f}"]}
            name = f"{each.row.label}, {words(f'form.{each.form}')}"
            figure.mark(axes, name, texts, [_place(each)])
    front = sorted({_place(each) for each in timed if each.on_front})
    if len(front) > 1:
        # As against other costs: between two forms, the faster one's accuracy is what there is.
        axes.step(
            *zip(*front, strict=True),
            where="post", color=GREY, linewidth=1, zorder=0, label=words("plot.front"),
        )  # fmt: skip
    for form in dict.fromkeys(each.form for each in timed):
        axes.plot(
            [], [], marker=_MARKERS[form], label=words(f"form.{form}"),
            linestyle="", color=GREY, markerfacecolor="none",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    label_axes(axes, words("column.form.latency"), words("plot.test_accuracy"))
    axes.margins(0.1)
    note_some(axes, min(len(networks), SHOWN), len(networks), words)
    legend_below(figure, axes)
    return figure


def _latency(form: FormRow) -> float:
    return form.measures.latency_ms


def _place(form: FormRow) -> tuple[float, float]:
    return _latency(form), 100 * form.measures.acc


def _draw(axes: Axes, form: FormRow, color: str) -> None:
    inside = color if form.on_front else "white"
    marker = _MARKERS[form.form]
    axes.plot(*_place(form), marker=marker, markersize=8, color=color, markerfacecolor=inside)
    if form.measures.disturbed:
        axes.annotate(DISTURBED, _place(form), (5, 4), textcoords="offset points", color=color)
