"""Figures have what their reader needs; how they look was judged by eye."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.report.test_table import HISTORIES, RUNS
from transfer.report.plots import plot_accuracy_against_macs, plot_prediction
from transfer.report.table import build_rows


def test_every_configuration_is_in_the_legend(tmp_path: Path) -> None:
    figure = plot_accuracy_against_macs(build_rows(RUNS, HISTORIES))
    texts = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert texts == ["b", "a"]
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size < 200_000


def test_a_prediction_is_named_above_its_picture() -> None:
    figure = plot_prediction(Image.new("RGB", (8, 8)), [("cat", 0.75), ("dog", 0.25)])
    assert figure.axes[0].get_title() == "cat (75.0%)"
