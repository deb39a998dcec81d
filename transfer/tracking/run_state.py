"""A run as its folder has it: all that a store must be told, in files that a kill leaves whole.

run_state.json is written anew when something of it changes, a few times a run; points.jsonl gets
the points of an epoch as lines at its end. in_store.json says of which of the two the store is
known to have everything; it is a hint, without which the store is asked.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from transfer.system.disk import atomic_write, writing

STATE, POINTS, _IN_STORE = "run_state.json", "points.jsonl", "in_store.json"


class Point(NamedTuple):
    """A metric's value; a metric has one a step. `time` is that of the training, in ms."""

    name: str
    value: float
    step: int
    time: int


@dataclass
class RunState:
    """All that a store has to know of one run.

    Another thread may read it meanwhile: dictionaries are replaced, never changed, and points are
    only appended.

    Attributes:
        folder: of the run; its artifacts lie in it.
        uri: the store's address, which may hold a password.
        tags: null is a tag that the run must not have.
        data_set: the fields of MLflow's Dataset.
        artifacts: names of files, and how often each was written.
        model: the name of the MLflow model's folder.
        start_time, end_time: in ms.
        unreadable: lines of points.jsonl that are damaged.
    """

    folder: Path
    name: str
    tags: dict[str, str | None]
    run_id: str = ""
    uri: str = ""
    params: dict[str, str] = field(default_factory=dict)
    data_set: dict[str, str] | None = None
    artifacts: dict[str, int] = field(default_factory=dict)
    model: str | None = None
    start_time: int | None = None
    status: str = "RUNNING"
    end_time: int | None = None
    points: list[Point] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._told = {(point.name, point.step) for point in self.points}
        self._size = 0
        self._digest: str | None = None

    @classmethod
    def load(cls, folder: Path) -> RunState | None:
        """The state of the run in a folder; None where there is none that can be read."""
        try:
            text = (folder / STATE).read_bytes()
            state = cls(folder=folder, **json.loads(text))
        except (OSError, ValueError, TypeError):
            return None
        state._digest = _digest(text)
        state._load_points()
        return state

    @property
    def ended(self) -> bool:
        return self.status != "RUNNING"

    @property
    def mark(self) -> tuple[int, str | None]:
        """What the files hold now: the size of one and the digest of the other, if there is one."""
        return self._size, self._digest

    def write(self, **changes: Any) -> None:
        """Write both files, those of an earlier run of this folder too; then `update`.

        Raises:
            DiskError: the disk is full or read-only; so do `update` and `append`.
        """
        # In this order, so that a kill never leaves a run with another one's points.
        lines = _lines(self.points)
        with atomic_write(self.folder / POINTS) as file:
            file.write(lines)
        # What was damaged is told anew by a run that goes on.
        self._size, self.unreadable = len(lines), []
        self.update(**changes)

    def update(self, **changes: Any) -> None:
        """Take new values of attributes, in this order; where the disk refuses them, the store may
        still learn them."""
        for name, value in changes.items():
            setattr(self, name, value)
        left_out = ("folder", "points", "unreadable")
        kept = {each.name: getattr(self, each.name) for each in fields(self)}
        text = json.dumps({name: kept[name] for name in kept if name not in left_out}, indent=1)
        with atomic_write(self.folder / STATE) as file:
            # The address of a database may hold its password.
            Path(file.name).chmod(0o600)
            file.write(text.encode())
        self._digest = _digest(text.encode())

    def append(self, points: Sequence[Point]) -> None:
        """Keep points, but for those of a metric and step that there is one of already."""
        new = [point for point in points if (point.name, point.step) not in self._told]
        self._told.update((point.name, point.step) for point in new)
        self.points += new
        path, lines = self.folder / POINTS, _lines(new)
        with writing(path), path.open("ab", buffering=0) as file:
            try:
                left = memoryview(lines)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                # The next line must not continue half of this one.
                os.ftruncate(file.fileno(), self._size)
                raise
        self._size += len(lines)

    def note_in_store(self, mark: tuple[int, str | None]) -> None:
        """Note that the store has all of what `mark` stands for."""
        if mark[1] is not None:
            with suppress(OSError):
                (self.folder / _IN_STORE).write_text(json.dumps(mark))

    def _load_points(self) -> None:
        path = self.folder / POINTS
        try:
            text = path.read_bytes() if path.exists() else b""
        except OSError as error:
            self.unreadable.append(f"{POINTS} ({error.strerror})")
            return
        self._size = len(text)
        for number, line in enumerate(text.split(b"\n")[:-1], 1):
            try:
                name, value, step, time = json.loads(line)
                self.points.append(Point(str(name), float(value), int(step), int(time)))
            except (ValueError, TypeError, OverflowError):
                self.unreadable.append(f"{POINTS}:{number}")
        self._told = {(point.name, point.step) for point in self.points}


def is_in_store(folder: Path) -> bool:
    """Whether the store is known to have all of the run in this folder, or there is no run."""
    if not (folder / STATE).exists():
        return True
    points = folder / POINTS
    try:
        size = points.stat().st_size if points.exists() else 0
        mark = json.loads((folder / _IN_STORE).read_text())
        return bool(mark == [size, _digest((folder / STATE).read_bytes())])
    except (OSError, ValueError):
        return False


def find_undelivered(folder: Path) -> list[Path]:
    """The folders of runs, at or below this one, that the store may not have all of."""
    found = [path.parent for path in sorted(folder.rglob(STATE))]
    return [run_folder for run_folder in found if not is_in_store(run_folder)]


def _lines(points: Sequence[Point]) -> bytes:
    return "".join(f"{json.dumps(point)}\n" for point in points).encode()


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
