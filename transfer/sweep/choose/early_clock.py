"""The time that a choice takes before its sweep has a folder: in a note in the cache, for a command
that goes on after an interruption in the screen, where it counts as well."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Self

from omegaconf import DictConfig, OmegaConf

from transfer.sweep.budget import Budget, ended
from transfer.sweep.choose.typed_overrides import TypedOverrides
from transfer.system.cache import cache_folder
from transfer.system.digest import hex_digest
from transfer.system.disk import atomic_write
from transfer.tracking.store import store_uri
from transfer.tracking.sweep_run import words_digest


class EarlyClock:
    """The note; where it cannot be written, there is none.

    Args:
        path: of its file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, config: DictConfig, typed: TypedOverrides) -> Self:
        """That of all commands in these words, in this folder and with this store."""
        store = store_uri(OmegaConf.select(config, "tracking.uri"))
        parts = [words_digest(typed.meant), store, str(Path.cwd())]
        name = hex_digest([each.encode() for each in parts])
        return cls(cache_folder() / f"clock-{name[:16]}.json")

    def former(self) -> Budget | None:
        """What commands that were interrupted took, counted as spent; None where none was."""
        try:
            noted = Budget(**json.loads(self._path.read_text()))
            return ended(noted, self._path.stat().st_mtime)
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, budget: Budget) -> None:
        """Note that a command has begun."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._path) as file:
                file.write(json.dumps(asdict(budget)).encode())

    def show_life(self) -> None:
        """Note that it still runs."""
        with suppress(OSError):
            os.utime(self._path)

    def forget(self) -> None:
        """There is nothing to go on with, or the sweep's own folder has it from now on."""
        with suppress(OSError):
            self._path.unlink()
