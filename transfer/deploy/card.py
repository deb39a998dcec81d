"""The card beside an exported file: what it is, how good, and its digest, as JSON.

The digest tells a file that was damaged or changed on its way from the one that was written. It
does not tell who wrote both.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from transfer.system.disk import writing
from transfer.system.errors import ConfigError, first_line


def card_path(path: Path) -> Path:
    """That of the file at `path`."""
    return path.with_name(f"{path.name}.json")


def file_digest(content: bytes) -> str:
    """SHA-256, as sha256sum prints it."""
    return hashlib.sha256(content).hexdigest()


def write_card(path: Path, card: dict[str, Any]) -> None:
    """Write the card of the file at `path`, whose name, size and digest it begins with."""
    content = path.read_bytes()
    file = {"file": path.name, "bytes": len(content), "sha256": file_digest(content)}
    text = json.dumps(file | card, indent=2, ensure_ascii=False)
    with writing(card_path(path)):
        card_path(path).write_text(text + "\n", encoding="utf-8")


def require_as_carded(path: Path, content: bytes, *, key: str, value: str) -> bool:
    """Whether there is a card beside the file.

    Raises:
        ConfigError: its digest is another, or it cannot be read.
    """
    beside = card_path(path)
    if not beside.exists():
        return False
    try:
        expected = json.loads(beside.read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"its card {beside} cannot be read ({first_line(error)}); export it again"
        raise ConfigError(key, value, problem) from error
    if file_digest(content) != expected:
        problem = f"is not the file that its card {beside.name} describes: its SHA-256 is another"
        raise ConfigError(key, value, f"{problem}; it was changed or damaged: export it again")
    return True
