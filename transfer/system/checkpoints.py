"""A training's state on disk: written whole or not at all, and read without running anything."""

import contextlib
import logging
import math
import pickle
import re
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from transfer.system.disk import atomic_write, writing
from transfer.system.errors import first_line

log = logging.getLogger(__name__)

_KEPT = 2
# Of the time of training, at most this share goes into checkpoints.
_SHARE = 0.02
_NAME = re.compile(r"epoch-(\d+)(?:-iteration-(\d+))?\.pt")


class Checkpoints:
    """The newest checkpoints of one training: a file an epoch, and one where a signal ended it.

    Two are kept, so that a damaged one costs an epoch and not the training.

    Args:
        job_folder: they lie in checkpoints/ below it, which is made for the first one.
        run: the training's id: a folder that is given twice must not mix two trainings.
    """

    def __init__(self, job_folder: Path, run: str = "") -> None:
        self.folder = job_folder / "checkpoints" / run
        self._saved_at = -math.inf
        self._took_s = 0.0

    def due(self) -> bool:
        """Whether a checkpoint is worth its time: at first, and then whenever training has taken
        fifty times as long as the last one took. A kill costs no more than that to repeat."""
        return _SHARE * (time.perf_counter() - self._saved_at) >= self._took_s

    def save(self, epoch: int, state: dict[str, Any], iteration: int = 0) -> None:
        """Write `state`, of tensors, numbers, strings, lists and dictionaries, atomically.

        A kill at any moment leaves either the whole file or none of that name.

        Args:
            epoch: the last one that is over.
            iteration: batches done since.

        Raises:
            DiskError: the disk is full or read-only; older checkpoints stay.
        """
        start = time.perf_counter()
        within = f"-iteration-{iteration}" if iteration else ""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.folder / f"epoch-{epoch}{within}.pt") as file:
            torch.save(state, file)
        for old in self._files()[_KEPT:]:
            old.unlink()
        self._saved_at = time.perf_counter()
        self._took_s = self._saved_at - start

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
        if self.folder.name != "checkpoints":
            with contextlib.suppress(OSError):
                self.folder.parent.rmdir()

    def epochs_done(self) -> int:
        """Whole epochs in the newest checkpoint, by its name."""
        files = self._files()
        return _position(files[0])[0] if files else 0

    def _files(self) -> list[Path]:
        """Newest first."""
        named = [path for path in self.folder.glob("*.pt") if _NAME.fullmatch(path.name)]
        return sorted(named, key=_position, reverse=True)


def _position(path: Path) -> tuple[int, int]:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1]), int(match[2] or 0)
