"""Text that Markdown shows as it is, and names within text that has marks."""

import re

_PUNCTUATION = r"!-/:-@\[-`{-~"
# Signs that mean nothing where they stand, such as the < of "< 1" or the _ of test_acc, stay
# readable in plain text. GitHub takes what stands between dollars for a formula.
_SIGNS = re.compile(
    rf"\\(?=[{_PUNCTUATION}]|$)|[*`\[\]~$]|(?<![^\W_])_|_(?![^\W_])|<(?=[\w/!?])|&(?=#?\w+;)"
)

# The signs of marks, and what stands for them in names: no characters, by Unicode's own word.
_VEIL = str.maketrans("`*", "\ufdd0\ufdd1")
_UNVEIL = str.maketrans("\ufdd0\ufdd1", "`*")


def escape_markdown(text: str) -> str:
    """One line, without marks: names and messages may hold HTML, links, emphasis or formulas."""
    return _SIGNS.sub(lambda found: f"\\{found[0]}", text)


def literal(name: str) -> str:
    """A name for text with **bold** and `code` in it, where its own signs shall be no marks; until
    the marks are read and it is `unveiled`."""
    return name.translate(_VEIL)


def unveiled(text: str) -> str:
    """Text with the signs of its names as they were."""
    return text.translate(_UNVEIL)
