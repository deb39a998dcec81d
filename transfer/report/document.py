"""A report before it has a format: blocks of text, tables and figures.

Text may use two marks of Markdown, **bold** and `code`, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass


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
class Code:
    text: str


@dataclass(frozen=True)
class Table:
    """A table; columns from `numbers_from` on hold numbers and are set to the right."""

    headers: Sequence[str]
    cells: list[list[str]]
    numbers_from: int


@dataclass(frozen=True)
class Picture:
    """A figure; `path` is relative to the report."""

    title: str
    path: str


Block = Heading | Paragraph | Bullets | Code | Table | Picture
