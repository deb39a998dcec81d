"""A report as blocks of text, tables and figures, and the two formats that templates/ gives it.

Text may use two marks of Markdown, **bold** and `code`, and nothing else; names in it are literal.
"""

import base64
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from tabulate import tabulate

from transfer.system.markdown import escape_markdown, unveiled


@dataclass(frozen=True)
class Heading:
    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Bullets:
    items: Sequence[str]


@dataclass(frozen=True)
class Box:
    """Lines that stand apart: the answer, before what it rests on."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Table:
    """A table; columns from `numbers_from` on hold numbers and are set to the right, but for those
    in `words`, which hold a word or two."""

    headers: Sequence[str]
    cells: Sequence[Sequence[str]]
    numbers_from: int
    words: Collection[int] = ()

    def is_number(self, index: int) -> bool:
        """Whether a column, counted from 0, holds numbers."""
        return index >= self.numbers_from and index not in self.words


@dataclass(frozen=True)
class Picture:
    """A figure; `path` is relative to the report, `marks` say what is where on it, as a Chart gives
    them, and `text` how to read it."""

    title: str
    path: str
    marks: Sequence[Mapping[str, Any]] = ()
    text: str = ""


@dataclass(frozen=True)
class Tile:
    """A small picture, a JPEG, with its title, lines below it and, if it has one, its file."""

    jpeg: bytes
    title: str
    lines: Sequence[str]
    file: str


@dataclass(frozen=True)
class Gallery:
    """Small pictures side by side; where a page cannot hold them, `path`, relative to the report,
    is a picture of all of them, and `files` the table of their files."""

    title: str
    text: str
    tiles: Sequence[Tile]
    path: str
    files: Table | None


Block = Heading | Paragraph | Bullets | Box | Code | Table | Picture | Gallery


def to_markdown(blocks: Sequence[Block]) -> str:
    """Markdown that also reads well as plain text."""
    return _TEMPLATES.get_template("report.md.j2").render(blocks=blocks)


def to_html(blocks: Sequence[Block], folder: Path, language: str) -> str:
    """One page: figures inside, tables that sort, no request to any host.

    Args:
        blocks: the first is the title.
        folder: where the figures' paths start.
        language: as in HTML's lang attribute.
    """
    template = _TEMPLATES.get_template("report.html.j2")
    return template.render(blocks=blocks, folder=folder, language=language)


def _markdown(text: str) -> str:
    """One line of Markdown with the two marks, in which all else is shown as it is."""
    parts = re.split(r"(`[^`]+`|\*\*)", " ".join(text.splitlines()))
    # Every other part is a mark.
    return "".join(_mark(part) if index % 2 else _shown(part) for index, part in enumerate(parts))


def _mark(part: str) -> str:
    code = unveiled(part.strip("`"))
    if "`" not in code:
        return unveiled(part)
    fence = _fence(code, least=1)
    return f"{fence} {code} {fence}"


def _shown(part: str) -> str:
    return escape_markdown(unveiled(part))


def _fenced(text: str) -> str:
    """A block of code, between fences that it does not have itself."""
    fence = _fence(text, least=3)
    return f"{fence}text\n{text}\n{fence}"


def _fence(text: str, least: int) -> str:
    """More backticks than the text has in a row."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(least, longest + 1)


def _aligned(table: Table) -> str:
    columns = range(len(table.headers))
    alignment = ["right" if table.is_number(index) else "left" for index in columns]
    headers, *escaped = (
        [_markdown(cell).replace("|", "\\|") for cell in line]
        for line in (table.headers, *table.cells)
    )
    return tabulate(
        escaped,
        headers=headers,
        tablefmt="pipe",
        colalign=alignment if escaped else None,
        disable_numparse=True,
    )


def _marked(text: str) -> Markup:
    """Escape, then give the two marks their tags."""
    escaped = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text)))
    tagged = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped)
    return Markup(unveiled(tagged))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _encoded(picture: Picture, folder: Path) -> str:
    return _base64((folder / picture.path).read_bytes())


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=lambda name: name == "report.html.j2",
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {
    "aligned": _aligned,
    "fenced": _fenced,
    "markdown": _markdown,
    "marked": _marked,
    "encoded": _encoded,
    "base64": _base64,
}
