"""Names in any script are drawn with the fonts that are there, or it is said what is lacking."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from PIL import Image

from transfer.report.figures import fonts
from transfer.report.figures.chart import Chart
from transfer.report.figures.fonts import fallback_families, use_font
from transfer.report.figures.prediction import plot_prediction
from transfer.system.errors import ConfigError


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A machine with no fonts but those that Matplotlib brings."""
    manager = font_manager.fontManager
    own = [entry for entry in manager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(manager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    monkeypatch.setattr(fonts, "_advised", set())
    fonts._find_families.cache_clear()
    yield monkeypatch
    fonts._find_families.cache_clear()


def _write_font(path: Path, name: str, characters: str) -> str:
    """A font in which each of the characters is a black square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 900), (900, 900), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    glyphs = [".notdef", *(f"square{index}" for index in range(len(characters)))]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(c): glyphs[1 + index] for index, c in enumerate(characters)})
    builder.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2(usWeightClass=400)
    builder.setupPost()
    builder.save(path)
    return str(path)


def _ink(text: str) -> float:
    """How much of a figure with this text is black."""
    drawn, figure = BytesIO(), Chart(figsize=(2, 1))
    figure.text(0.2, 0.2, text, fontsize=40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(drawn, format="png")
    return float((np.asarray(Image.open(drawn).convert("L")) < 128).mean())


def test_a_font_that_has_the_characters_draws_them(
    bare: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boxes = _ink("猫ก")
    # Matplotlib's list is older than these.
    there = [
        _write_font(tmp_path / "a.ttf", "Squares", "犬猫"),
        _write_font(tmp_path / "b.ttf", "Other Squares", "ก"),
    ]
    damaged = tmp_path / "c.ttf"
    damaged.write_bytes(b"no font")
    bare.setattr(font_manager, "findSystemFonts", lambda: [str(damaged), *there])
    fonts._find_families.cache_clear()
    capsys.readouterr()
    assert fallback_families(["犬 猫", "dog, ก"]) == ["Squares", "Other Squares"]
    assert _ink("猫ก") > 2 * boxes
    # Whatever else stands beside them.
    assert _ink("a 猫") > 1.2 * _ink("a")
    assert capsys.readouterr().err == ""


def test_what_no_font_has_is_said_once_with_what_brings_it(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["猫 개", "ねこ\u200d\ufe0f", "🐶", "ก", "é ✓ قط"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            bars = [(name, 0.2) for name in names]
            plot_prediction(Image.new("RGB", (8, 8)), bars).savefig(BytesIO())
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "no font here has ก: figures show boxes; apt install fonts-noto-core, say",
        "no font here has こ ね 猫 개: figures show boxes; apt install fonts-noto-cjk, say",
        "no font here has 🐶: figures show boxes; apt install fonts-symbola, say",
    ]


def test_what_the_usual_font_has_needs_no_other() -> None:
    assert fallback_families(["dog", "Käfer −1 ◆ … ✓"]) == []


def test_without_a_chinese_font_one_line_says_which_to_install(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(font_manager.fontManager, "ttflist", [])
    with pytest.raises(ConfigError, match="apt install fonts-noto-cjk"), use_font("zh"):
        pass
    with use_font("en"):
        pass
