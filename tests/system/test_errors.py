"""An error is one line that any terminal and log can take."""

from __future__ import annotations

import pytest

from transfer.system.errors import ConfigError, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain  text", "plain  text"),
        ("two\nlines", r"two\nlines"),
        ("\x1b[2J cleared", r"\x1b[2J cleared"),
        (b"\xff.jpg".decode(errors="surrogateescape"), r"\udcff.jpg"),
        ("\u2028", r"\u2028"),
        ("é 図 👩‍👧", "é 図 👩‍👧"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert str(ConfigError("key", text, "no")) == f"key={shown}: no"


def test_a_librarys_words_are_put_in_one_line() -> None:
    assert str(ConfigError("key", None, "first\n  second\udcff")) == r"key=null: first second\udcff"
