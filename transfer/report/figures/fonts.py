"""Fonts for names in any script, among those that are on this machine."""

import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from matplotlib import font_manager, rc_context, rcParams
from matplotlib.font_manager import FontEntry, FontProperties
from matplotlib.ft2font import FT2Font

from transfer.system.errors import ConfigError

# In this order, where several have as many of the characters.
_PREFERRED = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Microsoft YaHei", "PingFang SC"),
    *("Heiti SC", "SimHei", "Arial Unicode MS"),
    # Older versions of Matplotlib know the first face of a collection alone; its glyphs are the
    # same.
    "Noto Sans CJK JP",
)
# Matplotlib's own, which draws a box for every character there is.
_BOXES = "Last Resort"
_CHINESE = "图像准确率"
_CJK = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "FULLWIDTH", "KANGXI")
# Some of the characters that lack a font are enough to know the others by.
_NAMED = 5
_advised = set[str]()


@contextmanager
def use_font(language: str) -> Iterator[None]:
    """Draw and save figures inside with a font that has the language's characters.

    Raises:
        ConfigError: this machine has none; says which to install.
    """
    settings: dict[str, object] = {}
    if language == "zh":
        chosen, lacking = _find_families(_CHINESE)
        if lacking:
            problem = f"figures in Chinese need a font with its characters: {_advice(_CHINESE[0])}"
            raise ConfigError("lang", "zh", problem)
        # Each a family, for only then the next one has what one lacks, such as signs.
        settings["font.family"] = [*chosen, *rcParams["font.sans-serif"][:1]]
        settings["axes.unicode_minus"] = False
    with rc_context(settings):  # type: ignore[arg-type]
        yield


def fallback_families(texts: Iterable[str]) -> Sequence[str]:
    """The families that draw what those of `font.family` lack of some texts.

    Says once, in a line, which characters no font here has, and what brings one.
    """
    missing = _missing("".join(texts))
    if not missing:
        return []
    families, lacking = _find_families(missing)
    by_advice: dict[str, list[str]] = {}
    for character in lacking:
        by_advice.setdefault(_advice(character), []).append(character)
    for advice, characters in by_advice.items():
        if advice not in _advised:
            _advised.add(advice)
            some = " ".join(characters[:_NAMED]) + " …" * (len(characters) > _NAMED)
            problem = f"no font here has {some}: figures show boxes; {advice}"
            print(problem, file=sys.stderr, flush=True)
    return families


def _missing(text: str) -> str:
    """The characters that `font.family` cannot draw, each once and in order; what is not drawn,
    such as spaces and joiners, left out."""
    if text.isascii():
        return ""
    fonts = [
        font_manager.get_font(font_manager.findfont(FontProperties(family=[family])))
        for family in rcParams["font.family"]
    ]
    return "".join(
        character
        for character in sorted(set(text))
        if not character.isascii()
        and unicodedata.category(character)[0] not in "CZ"
        and not unicodedata.name(character, "").startswith("VARIATION SELECTOR")
        and not any(font.get_char_index(ord(character)) for font in fonts)
    )


@cache
def _find_families(characters: str) -> tuple[list[str], str]:
    """As few families as have these characters, and those that none has."""
    chosen, lacking = _cover(characters, font_manager.fontManager.ttflist)
    if lacking:
        # Matplotlib keeps its list, which may be older than a font.
        known = {entry.fname for entry in font_manager.fontManager.ttflist}
        for path in font_manager.findSystemFonts():
            if path not in known:
                try:
                    font_manager.fontManager.addfont(path)
                except Exception:
                    # Damaged, or of a kind that Matplotlib does not draw, such as coloured emoji.
                    continue
        chosen, lacking = _cover(characters, font_manager.fontManager.ttflist)
    return chosen, lacking


def _cover(characters: str, entries: Sequence[FontEntry]) -> tuple[list[str], str]:
    """Families that have the characters, that with most of them first, and what none has."""
    regular = [entry for entry in entries if not entry.name.startswith(_BOXES)]
    coverage = {path: _characters_of(path, characters) for path in {e.fname for e in regular}}
    chosen, left = list[str](), set(characters)
    while found := [(_order(each, coverage[each.fname] & left), each) for each in regular]:
        (_, best) = min(found, key=lambda pair: pair[0])
        if not coverage[best.fname] & left:
            break
        chosen.append(best.name)
        left -= coverage[best.fname]
    return chosen, "".join(each for each in characters if each in left)


def _order(entry: FontEntry, found: Collection[str]) -> tuple[object, ...]:
    """The smaller, the rather a font is taken that has some of the characters."""
    preferred = _PREFERRED.index(entry.name) if entry.name in _PREFERRED else len(_PREFERRED)
    plain = (entry.style == "normal", entry.weight in (400, "normal", "regular"))
    kind = ("Sans" in entry.name, "Mono" not in entry.name, *plain)
    return (-len(found), preferred, tuple(not each for each in kind), entry.name)


@cache
def _characters_of(path: str, characters: str) -> frozenset[str]:
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):
        # Gone since the list was made.
        return frozenset()
    return frozenset(each for each in characters if font.get_char_index(ord(each)))


def _advice(character: str) -> str:
    """What brings a font with it."""
    name = unicodedata.name(character, "")
    package = "fonts-noto-core"
    if name.startswith(_CJK):
        package = "fonts-noto-cjk"
    elif unicodedata.category(character) == "So":
        package = "fonts-symbola"
    return f"apt install {package}, say"
