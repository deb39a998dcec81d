"""A page can say what is where on a figure: the places are those of what is drawn."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.compare.runs import RUNS, make_predictions, make_rows, make_run
from transfer.report.document import Heading, Picture, to_html
from transfer.report.figures.chart import Chart
from transfer.report.figures.classes import plot_classes, plot_confusion, plot_reliability
from transfer.report.figures.curves import plot_curves, plot_iteration_loss
from transfer.report.figures.scores import plot_accuracy_against_cost, plot_parallel
from transfer.report.figures.style import new_figure, save_png
from transfer.report.language import Words

WORDS = Words()


def _marks(figure: Chart | None, folder: Path) -> list[dict[str, Any]]:
    assert figure is not None
    save_png(figure, folder / "figure.png")
    return figure.marks()


def test_a_mark_is_where_its_point_is_drawn(tmp_path: Path) -> None:
    figure, panels = new_figure(4, 2)
    for axes, color in zip(panels, ("#ff0000", "#0000ff"), strict=True):
        axes.plot([1, 10, 100], [3, 2, 9], "s", markersize=4, color=color)
        axes.plot([5], [5], "s", markersize=9, color="#00ff00")
        axes.set_xscale("log")
        figure.mark(axes, color, {"x": ["5"], "y": ["5.0"]}, [(5, 5)])
    for mark in _marks(figure, tmp_path):
        [[left, top]] = mark["spots"]
        with Image.open(tmp_path / "figure.png") as drawn:
            place = left * drawn.width // 10_000, top * drawn.height // 10_000
            assert drawn.convert("RGB").getpixel(place) == (0, 255, 0)
        assert (mark["names"], mark["values"]) == (["x", "y"], [["5", "5.0"]])


def test_a_bar_reaches_to_its_edges(tmp_path: Path) -> None:
    figure, [axes] = new_figure(4)
    axes.bar([0, 1], [4, -2], 0.6, color="#ff0000")
    axes.set_ylim(-5, 5)
    texts = {"value": ["4", "-2"]}
    figure.mark(axes, "bars", texts, [(0, 2), (1, -1)], reach=[(0.3, 2), (0.3, 1)])
    [mark] = _marks(figure, tmp_path)
    with Image.open(tmp_path / "figure.png") as drawn:
        red = (np.asarray(drawn.convert("RGB")) == (255, 0, 0)).all(axis=2)
    rows, columns = np.nonzero(red)
    (x, y, side, up), (x2, y2, _, up2) = mark["spots"]
    edges = [x - side, x2 + side, y - up, y2 + up2]
    drawn_edges = [
        each * 10_000 / size
        for each, size in (
            *((columns.min(), red.shape[1]), (columns.max(), red.shape[1])),
            *((rows.min(), red.shape[0]), (rows.max(), red.shape[0])),
        )
    ]
    assert edges == pytest.approx(drawn_edges, abs=40)


def test_long_curves_are_thinned_and_gaps_left_out(tmp_path: Path) -> None:
    figure, [axes] = new_figure(4)
    places = [(index, math.nan if index == 3 else index) for index in range(1000)]
    figure.mark(axes, "long", {"x": [str(index) for index in range(1000)]}, places)
    figure.mark(axes, "nothing", {"x": ["0"]}, [(math.nan, 0)])
    [mark] = _marks(figure, tmp_path)
    assert 50 < len(mark["spots"]) == len(mark["values"]) <= 100
    assert mark["values"][0] == ["0"]
    assert all(spot[0] >= 0 for spot in mark["spots"])


def test_the_figures_of_a_report_say_their_values(tmp_path: Path) -> None:
    answers = {
        "a-0-0": make_predictions([True] * 60 + [False] * 40),
        "b-0-0": make_predictions([True] * 90 + [False] * 10),
    }
    rows = make_rows(RUNS, predictions=answers)
    costs = _marks(plot_accuracy_against_cost(rows, WORDS), tmp_path)
    assert {mark["label"] for mark in costs} == {"a", "b"} and len(costs) == 6
    assert costs[0]["names"] == ["MACs", "test accuracy (%)"]
    [[macs, accuracy]] = costs[0]["values"]
    assert macs == "5 M" and re.fullmatch(r"90\.00 \[8\d\.\d\d, 9\d\.\d\d\]", accuracy)
    curves = _marks(plot_curves(rows, WORDS), tmp_path)
    assert curves[0]["names"] == ["epoch", "accuracy on validation images (%)"]
    assert curves[0]["values"] == [["1", "20"], ["2", "60"]]
    steps = _marks(plot_iteration_loss(rows, WORDS), tmp_path)
    assert steps[0]["values"] == [["1", "9.000"], ["2", "1.000"], ["3", "3.000"]]
    classes = _marks(plot_classes(rows, WORDS), tmp_path)
    assert classes[0]["values"][0] == ["class 0", "90.00", "+15.00"]
    confusion = _marks(plot_confusion(rows, WORDS), tmp_path)
    assert confusion[0]["label"] == "true class: class 0"
    assert confusion[0]["values"] == [["class 0", "90.0"], ["class 1", "10.0"]]
    reliability = _marks(plot_reliability(rows, WORDS), tmp_path)
    assert reliability[0]["values"] == [["75.0", "90.0"]]


def test_a_line_of_all_choices_is_one_mark_and_a_hundred_rows_stay_small(tmp_path: Path) -> None:
    runs = [
        make_run("a", freeze, 0, 0.5 + freeze / 100, image_size=str(size), batch_size=str(batch))
        for freeze in range(5)
        for size in (32, 64, 96, 128)
        for batch in range(5)
    ]
    rows = make_rows(runs)
    marks = _marks(plot_parallel(rows, WORDS), tmp_path)
    assert len(marks[-1]["spots"]) == 5 and len(marks[-1]["values"]) == 1
    assert marks[-1]["names"][0] == "model" and marks[-1]["values"][0][0] == "a"
    size = len(json.dumps(marks))
    size += len(json.dumps(_marks(plot_accuracy_against_cost(rows, WORDS), tmp_path)))
    size += len(json.dumps(_marks(plot_curves(rows, WORDS), tmp_path)))
    assert size < 100_000


def test_a_page_holds_the_marks_as_data_that_no_name_escapes_from(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "one.png")
    bad = "</script><script>alert(1)</script>"
    mark = {"label": bad, "names": ["x"], "spots": [[5000, 5000]], "values": [["1"]]}
    page = to_html([Heading("one"), Picture("one", "one.png", [mark])], tmp_path, "en")
    [data] = re.findall(r'<script type="application/json">(.*?)</script>', page, re.S)
    assert json.loads(data) == [mark]
    assert "alert(1)" not in page.replace(data, "")
    # Without marks there is nothing to stop at.
    page = to_html([Heading("one"), Picture("one", "one.png")], tmp_path, "en")
    assert "tabindex" not in page.split("<script>")[0]
