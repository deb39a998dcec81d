"""Both languages say the same things."""

from __future__ import annotations

import string

import pytest

from transfer.report.columns import ACCURACY, COSTS, SCORES
from transfer.report.language import LANGUAGES, Words, catalogue
from transfer.system.errors import ConfigError


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_catalogues_have_the_same_keys_and_placeholders() -> None:
    english, chinese = catalogue("en"), catalogue("zh")
    assert list(chinese) == list(english)
    for key, text in english.items():
        # YAML takes a bare yes for true and a bare 5 for a number.
        assert isinstance(key, str) and isinstance(text, str), key
        assert _placeholders(chinese[key]) == _placeholders(text), key


def test_an_unknown_language_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="lang=fr: must be one of en, zh"):
        Words("fr")


def test_one_of_a_thing_is_no_plural() -> None:
    words = Words()
    assert words("title", rows=1, runs=3) == "Comparison: 1 configuration, 3 runs"
    assert words("in_points", value="± 1") == "± 1 point"
    assert words("in_points", value="1.5") == "1.5 points"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_has_a_title_of_its_own_with_its_unit(language: str) -> None:
    columns = (ACCURACY, *SCORES, *COSTS)
    headers = {Words(language).header(column.metric) for column in columns}
    assert len(headers) == len(columns)


def test_a_header_names_the_unit() -> None:
    headers = [Words().header(column.metric) for column in COSTS]
    assert {"MACs", "latency (ms)", "latency, batch 64 (ms)", "size (MB)"} <= set(headers)
    assert Words("zh").header(ACCURACY.metric) == "测试准确率 (%)"
