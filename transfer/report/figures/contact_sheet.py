"""Small pictures and their captions as one picture, for pages that cannot lay them out."""

from collections.abc import Sequence
from pathlib import Path
from unicodedata import east_asian_width

from transfer.report.document import Tile
from transfer.report.figures.chart import Chart
from transfer.report.figures.style import DPI, GREY, WIDTH_INCHES
from transfer.tracking.examples import decode

_COLUMNS = 6
_GAP_INCHES = 0.12
_LINE_INCHES = 0.17
# Of a caption, as many halves of a square as fit below a picture; and of those the last ones, which
# say how sure an answer is.
_HALVES, _LAST = 24, 8


def save_contact_sheet(tiles: Sequence[Tile], path: Path) -> None:
    """Draw tiles as PNG, six beside one another."""
    lines = 1 + max(len(tile.lines) for tile in tiles)
    side = WIDTH_INCHES / _COLUMNS - _GAP_INCHES
    below = lines * _LINE_INCHES + 2 * _GAP_INCHES
    height = -(-len(tiles) // _COLUMNS) * (side + below)
    figure = Chart(figsize=(WIDTH_INCHES, height), dpi=DPI)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, _COLUMNS)
        left, top = column * (side + _GAP_INCHES), height - row * (side + below)
        box = (left, top - side, side, side)
        scale = (WIDTH_INCHES, height)
        axes = figure.add_axes([each / scale[i % 2] for i, each in enumerate(box)])  # type: ignore[call-overload]
        axes.imshow(decode(tile.jpeg), interpolation="nearest")
        axes.set_anchor("NW")
        axes.set_axis_off()
        # A number leads to the table of files.
        title = f"{index + 1}. {tile.title}" if tile.file else tile.title
        for number, text in enumerate([title, *tile.lines]):
            figure.text(
                left / WIDTH_INCHES,
                (top - side - 0.04 - number * _LINE_INCHES) / height,
                _fitting(text),
                fontsize=9,
                color=GREY if number else "black",
                va="top",
            )
    figure.savefig(path, pil_kwargs={"optimize": True})


def _fitting(text: str) -> str:
    """`text` without some of its middle where it is too long."""
    if _halves(text) <= _HALVES:
        return text
    end = text[-_LAST:] if len(text) > _LAST else ""
    while text and _halves(text) > _HALVES - _halves(end) - 1:
        text = text[:-1]
    return f"{text}…{end}"


def _halves(text: str) -> int:
    """How wide it is: a Chinese character is as wide as two letters."""
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)
