"""The words of a report, in English or Chinese; both catalogues have the same keys."""

from __future__ import annotations

from transfer.report.language.chinese import CHINESE
from transfer.report.language.english import ENGLISH
from transfer.system.errors import ConfigError

__all__ = ["LANGUAGES", "Words"]

LANGUAGES = {"en": ENGLISH, "zh": CHINESE}


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
        self._texts = LANGUAGES[language]

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key` with its {placeholders} filled in."""
        return self._texts[key].format(**values)
