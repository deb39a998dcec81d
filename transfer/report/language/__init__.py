"""The words of a report, in English or Chinese; both catalogues have the same keys."""

import re
import string
from functools import cache
from pathlib import Path

import yaml

from transfer.system.errors import ConfigError
from transfer.system.markdown import literal
from transfer.tracking.metrics import Metric

LANGUAGES = ("en", "zh")


@cache
def catalogue(language: str) -> dict[str, str]:
    """Every text of a language, by key, with {placeholders} in it."""
    path = Path(__file__).parent / f"{language}.yaml"
    texts: dict[str, str] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return texts


@cache
def _names_in(text: str) -> list[str]:
    """The placeholders that stand within `code`."""
    return re.findall(r"\{(\w+)\}", "".join(re.findall(r"`[^`]*`", text)))


class _Formatter(string.Formatter):
    """Gives {runs:run|runs} as "run" where `runs` is 1, and else as "runs"."""

    def format_field(self, value: object, format_spec: str) -> str:
        one, several, more = format_spec.partition("|")
        if not several:
            return format(value, format_spec)
        return one if str(value).lstrip("±+− ") == "1" else more


class Words:
    """Texts by key.

    Args:
        language: "en" or "zh".

    Raises:
        ConfigError: another language.
    """

    def __init__(self, language: str = "en") -> None:
        if language not in LANGUAGES:
            raise ConfigError("lang", language, f"must be one of {', '.join(LANGUAGES)}")
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key` with its {placeholders} filled in: those in code are names, of which
        no sign is a mark."""
        text = self._texts[key]
        names = {name: literal(str(values[name])) for name in _names_in(text)}
        return _Formatter().format(text, **(values | names))

    def header(self, metric: Metric) -> str:
        """A metric's title with its unit: for a column or an axis."""
        title = self(f"column.{metric.name}")
        # Few units have a word of their own in another language.
        unit = self._texts.get(f"unit.{metric.unit}", metric.unit)
        return f"{title} ({unit})" if unit else title
