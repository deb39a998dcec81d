"""What a run has still to tell the store, on disk in its folder: a file an entry, in order.

An entry lies there before anything is sent, and goes when the store has it. So a kill at any moment
loses nothing, and at worst an entry is sent that had arrived: see delivery.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transfer.system.disk import atomic_write, writing

FOLDER = "outbox"
_ADDRESS = "run.json"

Kind = Literal["params", "inputs", "tags", "metrics", "file", "model", "status"]
_WORDS = {
    "params": ("list of parameters", "lists of parameters"),
    "inputs": ("description of the data set", "descriptions of the data set"),
    "tags": ("set of tags", "sets of tags"),
    "metrics": ("batch of metrics", "batches of metrics"),
    "file": ("file", "files"),
    "model": ("model", "models"),
    "status": ("change of status", "changes of status"),
}


@dataclass(frozen=True)
class Entry:
    """One thing to tell the store.

    Attributes:
        path: where it lies until the store has it.
        content: as JSON has it; what it holds is up to `kind`, see delivery.
    """

    path: Path
    kind: Kind
    content: Any


class Outbox:
    """The entries of one run that are not known to have arrived.

    Args:
        job_folder: they lie in outbox/ below it.
    """

    def __init__(self, job_folder: Path) -> None:
        self.job_folder = job_folder
        self.folder = job_folder / FOLDER
        self._last = max([_number(path) for path in self._paths()], default=0)

    def open(self, run_id: str, uri: str) -> None:
        """Note whose entries these are, for whoever delivers them later."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.folder / _ADDRESS) as file:
            # The address of a database may hold its password.
            Path(file.name).chmod(0o600)
            file.write(json.dumps({"run": run_id, "uri": uri}).encode())

    def address(self) -> tuple[str, str]:
        """The run's id and the store's address, as `open` noted them."""
        note = json.loads((self.folder / _ADDRESS).read_text())
        return note["run"], note["uri"]

    def append(self, kind: Kind, content: object) -> None:
        """Keep an entry; it is safe from a power cut when this returns.

        Raises:
            DiskError: the disk is full or read-only; the entries before stay.
        """
        with atomic_write(self.folder / f"{self._last + 1:06d}.json") as file:
            file.write(json.dumps({"kind": kind, "content": content}).encode())
        self._last += 1

    def entries(self, limit: int | None = None) -> list[Entry]:
        """The oldest entries, in order."""
        return [_read(path) for path in self._paths()[:limit]]

    def remove(self, entries: list[Entry]) -> None:
        """Forget entries that the store has."""
        for entry in entries:
            entry.path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._paths())

    def __str__(self) -> str:
        counts = Counter(entry.kind for entry in self.entries())
        return ", ".join(f"{n} {_WORDS[kind][n > 1]}" for kind, n in counts.items())

    def finishes(self, run_id: str) -> bool:
        """Whether the run has finished, and only the store does not know it yet."""
        paths = self._paths()
        if not paths or self.address()[0] != run_id:
            return False
        last = _read(paths[-1])
        return last.kind == "status" and bool(last.content["status"] == "FINISHED")

    def close(self) -> None:
        """Remove what is left when everything has arrived."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*[0-9].json"))


def find_outboxes(folder: Path) -> list[Path]:
    """The folders of jobs, at or below this one, that have something left to deliver."""
    found = [path.parent.parent for path in sorted(folder.rglob(f"{FOLDER}/{_ADDRESS}"))]
    return [job_folder for job_folder in found if Outbox(job_folder)]


def _number(path: Path) -> int:
    return int(path.stem)


def _read(path: Path) -> Entry:
    text = json.loads(path.read_text())
    return Entry(path, text["kind"], text["content"])
