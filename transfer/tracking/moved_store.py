"""A store that was moved or copied with its project finds what lies beside it.

MLflow keeps the places of artifacts as absolute paths, and a run's tags that of its folder: after a
move they lead nowhere, after a copy to the files of the original.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from transfer.tracking.places import local_path

log = logging.getLogger(__name__)

SQLITE = "sqlite:///"
ARTIFACTS = "mlartifacts"
# Tables with their column of an artifact's address.
_ADDRESSES = (
    ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "source"), ("model_versions", "storage_location"),
)  # fmt: skip


def find_beside(database: Path) -> None:
    """Let a SQLite store whose artifacts this project has laid beside it look for them, and for the
    folders of its runs, below the folder where it lies now: those of them that are there.

    Args:
        database: of MLflow; locked by the caller, and left as it is where it was not moved.

    Raises:
        sqlite3.Error: it cannot be read or written.
    """
    here = database.resolve().parent
    with closing(sqlite3.connect(database, timeout=20)) as store:
        tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master")}
        if not {"experiments", "tags", *(table for table, _ in _ADDRESSES)} <= tables:
            return
        moved = [
            (number, place, root)
            for number, location in store.execute(
                "SELECT experiment_id, artifact_location FROM experiments"
            )
            if (place := local_path(location or "")) is not None
            and (root := _root_of(place)) is not None
            and root != here
        ]
        if not moved:
            return
        with store:
            for number, place, root in moved:
                there = (here / place.relative_to(root)).as_uri()
                found = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
                store.execute(found, (there, number))
            for root in {root for _, _, root in moved}:
                if count := _move(store, root, here):
                    log.warning("the store was in %s; %d of its places are now here", root, count)


def uri_beside(uri: str, was: Path, now: Path) -> str:
    """The address of a SQLite store whose project lay elsewhere when a folder of it was at `was`,
    which is at `now`: that of the database which went with it, if there is one, else `uri`."""
    name, mark, options = uri.removeprefix(SQLITE).partition("?")
    database = Path(name)
    for old, new in zip([was, *was.parents], [now, *now.parents], strict=False):
        if uri.startswith(SQLITE) and database.is_relative_to(old):
            there = new / database.relative_to(old)
            return f"{SQLITE}{there}{mark}{options}" if there.is_file() else uri
        if old.name != new.name:
            break
    return uri


def _move(store: sqlite3.Connection, root: Path, here: Path) -> int:
    """How many places were changed."""
    before = store.total_changes
    for table, column in _ADDRESSES:
        for (address,) in store.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall():
            former = local_path(address or "")
            there = None if former is None else _below(former, root, here)
            # Nothing was written yet to the place of a run without artifacts, or it comes later.
            if there is not None and former and (there.exists() or not former.exists()):
                change = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"
                store.execute(change, (there.as_uri(), address))
    folders = "SELECT DISTINCT value FROM tags WHERE key = 'hydra.output_dir'"
    for (folder,) in store.execute(folders).fetchall():
        there = _below(Path(folder), root, here)
        # It may come later, as the artifacts may.
        if there is not None and (there.is_dir() or not Path(folder).is_dir()):
            change = "UPDATE tags SET value = ? WHERE key = 'hydra.output_dir' AND value = ?"
            store.execute(change, (str(there), folder))
    return store.total_changes - before


def _root_of(place: Path) -> Path | None:
    """The folder of the store that laid an experiment's artifacts where they are; None where
    somebody else chose the place."""
    return place.parent.parent if place.parent.name == ARTIFACTS else None


def _below(path: Path, root: Path, here: Path) -> Path | None:
    return here / path.relative_to(root) if path.is_relative_to(root) else None
