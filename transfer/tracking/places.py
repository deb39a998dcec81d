"""Where artifacts lie, and one room on the disk for a file that lies in two places."""

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlparse


def local_path(address: str) -> Path | None:
    """The folder or file of an artifact's address; None where it is not on this machine."""
    parts = urlparse(address)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(address) if address.startswith("/") else None


def share_room(original: Path, copy: Path) -> None:
    """Let a file and its copy be one file of two names, where the disk can do that.

    Whoever writes either of them again must delete it first, for what is written into one is in
    both.
    """
    new = copy.with_name(f".{copy.name}.{os.getpid()}")
    with suppress(OSError):
        if original.samefile(copy):
            return
        os.link(original, new)
        new.replace(copy)
