"""A figure of a search: the score of each trial, and the best so far."""

import numpy as np

from transfer.compare.criterion import CRITERIA
from transfer.report.figures.chart import Chart
from transfer.report.figures.style import GREY, color_of, label_axes, legend_below, new_figure
from transfer.report.language import Words
from transfer.tracking.metrics import METRICS
from transfer.tracking.searches import SearchRecord


def plot_search(record: SearchRecord, words: Words) -> Chart | None:
    """A dot a trial that was trained to the end, a cross a pruned one, and a line for the best of
    those that were trained to the end so far. None where none was."""
    ended = [each for each in record.trials if each.score is not None]
    if not any(each.state == "finished" for each in ended):
        return None
    criterion = CRITERIA[record.select_by]
    metric = METRICS[criterion.validation]
    scale = criterion.sign * (100 if metric.unit == "%" else 1)
    figure, [axes] = new_figure(4.2)
    for state, marker, color in (("pruned", "x", GREY), ("finished", "o", color_of(0))):
        own = [each for each in ended if each.state == state]
        if not own:
            continue
        scores = np.array([each.score for each in own], dtype=np.float64)
        places = np.stack([[each.number for each in own], scale * scores], axis=1)
        label = words(f"plot.{state}")
        axes.plot(*places.T, color=color, marker=marker, markersize=5, linestyle="", label=label)
        values = {
            words("plot.trial"): [str(each.number) for each in own],
            words.header(metric): [metric.text(criterion.sign * score) for score in scores],
            words("plot.chosen"): [" ".join(each.chosen) for each in own],
        }
        figure.mark(axes, label, values, places)
    finished = [each for each in ended if each.state == "finished"]
    best = np.maximum.accumulate([each.score or 0.0 for each in finished])
    numbers = [each.number for each in finished]
    # To the last trial, whatever became of it.
    axes.step(
        [*numbers, max(each.number for each in record.trials)],
        scale * np.append(best, best[-1]),
        where="post",
        color=color_of(1),
        label=words("plot.best_so_far"),
    )
    if criterion.sign < 0:
        # A rate that is far too high has a loss that leaves no room for the others.
        axes.set_yscale("log")
    label_axes(axes, words("plot.trial"), words.header(metric), whole_numbers=True)
    legend_below(figure, axes)
    return figure
