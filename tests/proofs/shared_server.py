"""The tracking server of a team: `mlflow server` on PostgreSQL, with proxied artifacts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow import MlflowClient

from tests.proofs.postgres import Postgres
from tests.proofs.training import Server


class SharedServer:
    """The server, and the database behind it.

    Args:
        folder: of the artifacts.
        workers: of the server.
    """

    def __init__(self, folder: Path, database: Postgres, workers: int) -> None:
        self.folder, self.database = folder, database
        self.server = Server(folder, database.uri, workers)

    def start(self) -> None:
        self.server.start()

    def crash(self) -> None:
        """End both at once, in the middle of what they do."""
        self.server.kill()
        self.database.stop("immediate")

    def start_again(self) -> None:
        self.database.start()
        self.server.start()

    def cpu_seconds(self) -> float:
        """How many seconds of the processor both have used so far."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = path.read_text().rpartition(")")[2].split()
                owner, group = int(fields[1]), int(fields[2])
                if group == self.server.id or owner == self.database.id:
                    ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    @property
    def client(self) -> MlflowClient:
        """A client of the database itself: what it says is in it is there."""
        return MlflowClient(self.database.uri)


@contextmanager
def shared_server(folder: Path, workers: int = 1) -> Iterator[SharedServer]:
    """One that has started; nothing of it is left in the end."""
    database = Postgres()
    try:
        shared = SharedServer(folder, database, workers)
        try:
            shared.start()
            yield shared
        finally:
            shared.server.kill()
    finally:
        database.remove()
