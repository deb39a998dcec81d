"""A run as its folder has it: all that a store must be told, in files that a kill leaves whole.

run_state.json is written anew when something of it changes, a few times a run; points.jsonl gets
the points of an epoch as lines at its end. in_store.json says of which of the two the store is
known to have everything; it is a hint, without which the store is asked.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from transfer.system.disk import atomic_write, writing
from transfer.tracking.moved_store import uri_beside

# Of a run's artifacts the only large one.
WEIGHTS = "weights.safetensors"
STATE, POINTS, _IN_STORE = "run_state.json", "points.jsonl", "in_store.json"

# Kind, name and step of one thing that a store must have.
Key = tuple[str, str, int]


class Point(NamedTuple):
    """A metric's value; a metric has one a step. `time` is that of the training, in ms."""

    name: str
    value: float
    step: int
    time: int

    @property
    def key(self) -> Key:
        return "point", self.name, self.step


@dataclass
class RunState:
    """All that a store has to know of one run.

    Another thread may read it meanwhile: dictionaries are replaced, never changed, and points are
    only added.

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
    points: dict[Key, Point] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The state of the run in a folder; None where there is none that can be read."""
        try:
            state = cls(folder=folder, **json.loads((folder / STATE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        state._load_points()
        state._follow(folder.absolute())
        return state

    def _follow(self, here: Path) -> None:
        """Where the folder was moved or copied with its project, mean what lies here."""
        was = Path(self.tags.get("hydra.output_dir") or here)
        if was == here or (was.exists() and was.samefile(here)):
            return
        self.tags = self.tags | {"hydra.output_dir": str(here)}
        self.uri = uri_beside(self.uri, was, here)

    def contents(self, first: int = 0) -> dict[Key, Any]:
        """What a store must have; of points those from number `first` on.

        The value of a file is how often it was written, that of a tag may be null.
        """
        # How it ended is read first, so that the rest is there too.
        ended = {} if self.status == "RUNNING" else {"status": (self.status, self.end_time)}
        data_set = {self.data_set["name"]: self.data_set["digest"]} if self.data_set else {}
        things: dict[str, dict[str, Any]] = {
            "parameter": self.params,
            "tag": self.tags,
            "data set": data_set,
            "file": self.artifacts,
            "model": {self.model: True} if self.model else {},
        }
        points = {point.key: point for point in list(self.points.values())[first:]}
        return points | {
            (kind, name, 0): value
            for kind, values in (things | {"status": ended}).items()
            for name, value in values.items()
        }

    def write(self, **changes: Any) -> None:
        """Write both files, those of an earlier run of this folder too; then `update`.

        Raises:
            DiskError: the disk is full or read-only; so do `update` and `append`.
        """
        # In this order, so that a kill never leaves a run with another one's points.
        with atomic_write(self.folder / POINTS) as file:
            file.write(_lines(self.points.values()))
        # What was damaged is told anew by a run that goes on.
        self.unreadable = []
        self.update(**changes)

    def update(self, **changes: Any) -> None:
        """Take new values of attributes, all at once; where the disk refuses them, the store may
        still learn them."""
        vars(self).update(changes)
        left_out = ("folder", "points", "unreadable")
        kept = {name: value for name, value in vars(self).items() if name not in left_out}
        with atomic_write(self.folder / STATE) as file:
            # The address of a database may hold its password.
            Path(file.name).chmod(0o600)
            file.write(json.dumps(kept, indent=1).encode())

    def append(self, points: Iterable[Point]) -> None:
        """Keep points, but for those of a metric and step that there is one of already."""
        new = {point.key: point for point in points if point.key not in self.points}
        self.points.update(new)
        path = self.folder / POINTS
        with writing(path), path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                left = memoryview(_lines(new.values()))
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            except OSError:
                # The next line must not continue half of this one.
                os.ftruncate(file.fileno(), size)
                raise

    def _load_points(self) -> None:
        path = self.folder / POINTS
        try:
            lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        except OSError as error:
            self.unreadable.append(f"{POINTS} ({error.strerror})")
            return
        for number, line in enumerate(lines, 1):
            try:
                name, value, step, time = json.loads(line)
                point = Point(str(name), float(value), int(step), int(time))
                self.points[point.key] = point
            except (ValueError, TypeError, OverflowError):
                self.unreadable.append(f"{POINTS}:{number}")


def mark_of(folder: Path) -> list[object] | None:
    """What the files of a run hold now, in short; None where there is no run."""
    try:
        digest = hashlib.sha256((folder / STATE).read_bytes()).hexdigest()
        points = folder / POINTS
        return [points.stat().st_size if points.exists() else 0, digest]
    except OSError:
        return None


def note_in_store(folder: Path, mark: list[object] | None) -> None:
    """Note that the store has all of what `mark` stands for."""
    if mark is not None:
        with suppress(OSError):
            (folder / _IN_STORE).write_text(json.dumps(mark))


def is_in_store(folder: Path) -> bool:
    """Whether the store is known to have all of the run in this folder, or there is no run."""
    if not (folder / STATE).exists():
        return True
    try:
        return bool(json.loads((folder / _IN_STORE).read_text()) == mark_of(folder))
    except (OSError, ValueError):
        return False


def find_undelivered(folder: Path) -> list[Path]:
    """The folders of runs, at or below this one, that the store may not have all of."""
    found = [path.parent for path in sorted(folder.rglob(STATE))]
    return [run_folder for run_folder in found if not is_in_store(run_folder)]


def _lines(points: Iterable[Point]) -> bytes:
    return "".join(f"{json.dumps(point)}\n" for point in points).encode()
