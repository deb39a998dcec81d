"""A training's state on disk: written whole or not at all, and read without running anything."""

from __future__ import annotations

import logging
import os
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import torch

from transfer.config import first_line

log = logging.getLogger(__name__)

_KEPT = 2


class Checkpoints:
    """The newest checkpoints of one training, a file an epoch.

    Two are kept, so that a damaged one costs an epoch and not the training.

    Args:
        job_folder: they lie in checkpoints/ below it, which is made for the first one.
    """

    def __init__(self, job_folder: Path) -> None:
        self.folder = job_folder / "checkpoints"

    def save(self, epoch: int, state: dict[str, Any]) -> None:
        """Write `state`, of tensors, numbers, strings, lists and dictionaries, atomically.

        A kill at any moment leaves either the whole file or none of that name.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / "unfinished"
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / f"epoch-{epoch}.pt")
        self._sync_folder()
        for old in self._files()[_KEPT:]:
            old.unlink()

    def newest(self) -> dict[str, Any] | None:
        """The state of the newest whole checkpoint; None where there is none."""
        for path in self._files():
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
                reason = first_line(error)
                log.warning("%s is damaged (%s): going on from the one before", path, reason)
                continue
            assert isinstance(state, dict)
            return state
        return None

    def remove(self) -> None:
        """Delete all of them: the training is over."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[Path]:
        """Newest first."""
        found = [(re.fullmatch(r"epoch-(\d+)\.pt", path.name), path) for path in self._listing()]
        numbered = [(int(match[1]), path) for match, path in found if match]
        return [path for _, path in sorted(numbered, reverse=True)]

    def _listing(self) -> list[Path]:
        return list(self.folder.iterdir()) if self.folder.is_dir() else []

    def _sync_folder(self) -> None:
        # The rename itself is safe from a power cut only when the folder is written too.
        if os.name == "posix":
            descriptor = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
