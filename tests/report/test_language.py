"""Both languages say the same things."""

from __future__ import annotations

import string

import pytest

from transfer.report.language import Words
from transfer.report.language.chinese import CHINESE
from transfer.report.language.english import ENGLISH
from transfer.system.errors import ConfigError


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_catalogues_have_the_same_keys_and_placeholders() -> None:
    assert list(CHINESE) == list(ENGLISH)
    for key, text in ENGLISH.items():
        assert _placeholders(CHINESE[key]) == _placeholders(text), key


def test_an_unknown_language_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="lang=fr: must be one of en, zh"):
        Words("fr")
