"""Figures have what their reader needs; how they look was judged by eye."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.compare.runs import RUNS, make_predictions, make_rows, make_run
from transfer.compare.rows import Row
from transfer.report.figures.classes import plot_classes, plot_confusion, plot_reliability
from transfer.report.figures.curves import (
    plot_curves,
    plot_iteration_loss,
    plot_job,
    write_curves,
)
from transfer.report.figures.effort import plot_effort
from transfer.report.figures.prediction import plot_prediction
from transfer.report.figures.scores import plot_accuracy_against_cost, plot_parallel
from transfer.report.figures.style import save_png
from transfer.report.language import LANGUAGES, Words
from transfer.tracking.artifacts import NO_HISTORY, read_history

WORDS = Words()
ANSWERS = {
    "a-0-0": make_predictions([True] * 60 + [False] * 40),
    "b-0-0": make_predictions([True] * 90 + [False] * 10),
}


def test_every_configuration_and_the_front_are_in_the_legend(tmp_path: Path) -> None:
    figure = plot_accuracy_against_cost(make_rows(RUNS), WORDS)
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert sorted(texts) == ["Pareto front", "a", "b"]
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size < 200_000


def test_of_many_configurations_the_best_have_a_line() -> None:
    rows = make_rows([make_run(f"m{i}", 0, 0, i / 100) for i in range(20)])
    figure = plot_curves(rows, WORDS)
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert texts == [f"m{i}" for i in range(19, 12, -1)]
    assert figure.axes[-1].get_title(loc="right") == "the 7 best of 20 configurations"


def test_class_differences_are_about_the_mean() -> None:
    figure = plot_classes(make_rows(RUNS, predictions=ANSWERS), WORDS)
    assert figure is not None
    heights = np.array([bar.get_height() for bar in figure.axes[0].patches]).reshape(2, 2)
    assert heights.sum(axis=0) == pytest.approx([0, 0])
    # b is right on 90 of 100 images and a on 60, evenly over the two classes.
    assert heights[0] == pytest.approx([15, 15])


def test_confusion_and_reliability_are_of_the_saved_answers() -> None:
    rows = make_rows(RUNS, predictions=ANSWERS)
    confusion, reliability = plot_confusion(rows, WORDS), plot_reliability(rows, WORDS)
    assert confusion is not None and reliability is not None
    texts = [text.get_text() for text in confusion.axes[0].texts]
    assert texts == ["90.0", "10.0", "10.0", "90.0"]
    line = reliability.axes[0].lines[1]
    assert line.get_xydata().tolist() == [[75.0, pytest.approx(90.0)]]


def test_without_a_mistake_no_cell_is_dark() -> None:
    run = make_run("a", 0, 0, 1.0)
    answers = {run.id: make_predictions([True] * 20)}
    confusion = plot_confusion(make_rows([run], predictions=answers), WORDS)
    assert confusion is not None
    [image] = confusion.axes[0].images
    assert image.get_clim() == (0, 1)


def test_without_predictions_there_is_no_figure_of_them() -> None:
    rows = make_rows(RUNS)
    assert plot_classes(rows, WORDS) is None
    assert plot_confusion(rows, WORDS) is None
    assert plot_reliability(rows, WORDS) is None


def test_of_a_fold_of_a_few_images_no_empty_axes_of_confidence_are_drawn() -> None:
    few = {run.id: make_predictions([True] * 7) for run in RUNS}
    assert plot_reliability(make_rows(RUNS, predictions=few), WORDS) is None
    chart = plot_reliability(make_rows(RUNS, predictions=few | dict([*ANSWERS.items()][:1])), WORDS)
    assert chart is not None and len(chart.axes[0].lines) == 2


@pytest.mark.parametrize(
    "plot", [plot_classes, plot_confusion, plot_reliability, plot_accuracy_against_cost]
)
def test_names_with_dollars_are_no_formulas(
    plot: Callable[[Sequence[Row], Words], Figure], tmp_path: Path
) -> None:
    broken = r"$\frac$"
    runs = [make_run(model, 0, 0, 0.9, weights=broken + model) for model in "ab"]
    answers = {
        run.id: replace(make_predictions([True] * 90 + [False] * 10), names=[broken, "a_b$x^$"])
        for run in runs
    }
    save_png(plot(make_rows(runs, predictions=answers), WORDS), tmp_path / "figure.png")
    prediction = plot_prediction(Image.new("RGB", (8, 8)), [(broken, 0.75), ("dog", 0.25)])
    save_png(prediction, tmp_path / "prediction.png")


@pytest.mark.parametrize("plot", [plot_curves, plot_iteration_loss, plot_accuracy_against_cost])
def test_a_run_whose_curves_are_lost_is_drawn_without(
    plot: Callable[[Sequence[Row], Words], Figure], tmp_path: Path
) -> None:
    for lost in (RUNS[:1], RUNS):
        rows = make_rows(RUNS, {run.id: NO_HISTORY for run in lost})
        save_png(plot(rows, WORDS), tmp_path / "figure.png")


def test_parallel_coordinates_have_an_axis_a_key() -> None:
    runs = [
        make_run("a", freeze, 0, 0.5 + freeze / 100, image_size=str(size))
        for freeze in (0, 5, 10)
        for size in (32, 64)
    ]
    figure = plot_parallel(make_rows(runs), WORDS)
    assert figure is not None
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert labels == ["model", "freeze_epochs", "image_size", "test accuracy (%)"]
    assert len(figure.axes[0].lines) == 6
    assert plot_parallel(make_rows(RUNS), WORDS) is None
    lost = [make_run("a", freeze, 0, math.nan, image_size=str(freeze)) for freeze in (0, 5)]
    assert plot_parallel(make_rows(lost), WORDS) is None


def test_parallel_coordinates_of_many_configurations_stay_legible_and_small(tmp_path: Path) -> None:
    runs = [
        make_run("a", freeze, 0, 0.5 + random, image_size=str(size), batch_size=str(batch))
        for freeze in range(10)
        for size in range(32, 132, 10)
        for batch, random in enumerate(np.random.default_rng(freeze).uniform(0, 0.4, 10))
    ]
    figure = plot_parallel(make_rows(runs), WORDS)
    assert figure is not None
    assert len(figure.axes[0].lines) == 40
    assert figure.axes[0].get_title(loc="right") == "one configuration in 25 of the ranking"
    save_png(figure, tmp_path / "parallel.png")
    assert (tmp_path / "parallel.png").stat().st_size < 200_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_models_at_equal_effort_have_a_curve_each(language: str) -> None:
    words = Words(language)
    runs = [
        make_run(model, 0, 0, 0.5 + rate / 10, **{"optimizer.lr": str(rate)})
        for model, count in (("a", 3), ("b", 4))
        for rate in range(count)
    ]
    figure = plot_effort(make_rows(runs), words)
    assert figure is not None
    curves = {str(line.get_label()): line.get_xydata() for line in figure.axes[0].lines}
    assert curves["b"].tolist() == [
        [1, pytest.approx(65)],
        [2, pytest.approx(73.33333)],
        [3, pytest.approx(77.5)],
        [4, pytest.approx(80)],
    ]
    assert len(curves["a"]) == 3
    assert figure.axes[0].get_xlabel() == words("plot.tries")
    assert plot_effort(make_rows(RUNS), words) is None


def test_a_prediction_is_named_above_its_picture() -> None:
    figure = plot_prediction(Image.new("RGB", (8, 8)), [("cat", 0.75), ("dog", 0.25)])
    assert figure.axes[0].get_title() == "cat (75.0%)"


def test_a_runs_curves_are_drawn_from_its_folder_whole_or_not_at_all(tmp_path: Path) -> None:
    points = [("step/loss", 1, 1, 2.0), ("step/loss", 2, 2, 1.0)]
    points += [
        (f"{split}/{name}", epoch, None, 0.5)
        for split in ("train", "val")
        for name in ("loss", "acc")
        for epoch in (1, 2)
    ]
    frame = pd.DataFrame(points, columns=["metric", "epoch", "iteration", "value"])
    frame.astype({"iteration": "Int64"}).to_parquet(tmp_path / "history.parquet")
    path = write_curves(tmp_path, 1, "a run")
    assert path == tmp_path / "curves.png"
    with Image.open(path) as drawn:
        assert drawn.format == "PNG" and drawn.width > 500
    assert {each.name for each in tmp_path.iterdir()} == {"history.parquet", "curves.png"}
    figure = plot_job(read_history(tmp_path / "history.parquet"), 1, "a run")
    accuracy = figure.axes[1]
    assert [line.get_label() for line in accuracy.lines[:2]] == ["train", "val"]
    # A line marks the unfreeze, after epoch 1.
    assert accuracy.lines[2].get_xdata()[0] == 1.5  # type: ignore[index]
