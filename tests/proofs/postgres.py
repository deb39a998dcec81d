"""A real PostgreSQL on a port of loopback, in a temporary folder, as an unprivileged user."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

# PostgreSQL refuses to run as root; Debian's package brings this user.
_USER = "postgres"
_ACCOUNT = "mlflow"


def postgres_programs() -> Path | None:
    """The folder of initdb and pg_ctl, the newest where there are several; None without."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    # Debian keeps them out of PATH.
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    return None if newest is None else newest.parent


class Postgres:
    """One cluster of databases with one of them for MLflow, behind a password.

    Attributes:
        uri: of that database, with the password.
    """

    def __init__(self) -> None:
        programs = postgres_programs()
        assert programs is not None
        self._programs = programs
        # Not pytest's own folder, which this user may not enter.
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-proof-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        password = secrets.token_hex(8)
        self.uri = f"postgresql+psycopg2://{_ACCOUNT}:{password}@127.0.0.1:{self._port}/mlflow"
        (self._folder / "password").write_text(password)
        if os.geteuid() == 0:
            for path in (self._folder, self._folder / "password"):
                shutil.chown(path, _USER, _USER)
        access = ("-U", _ACCOUNT, "-A", "scram-sha-256", f"--pwfile={self._folder}/password")
        self._call("initdb", "-D", self._data, *access)
        self.start()
        here = ("-h", "127.0.0.1", "-p", str(self._port), "-U", _ACCOUNT)
        self._call("createdb", *here, "mlflow", PGPASSWORD=password)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    @property
    def id(self) -> int:
        """The id of its first process, whose children the others are."""
        return int((Path(self._data) / "postmaster.pid").read_text().split()[0])

    def start(self) -> None:
        """Start it and wait until it answers; after a crash it recovers first."""
        listen = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        log = str(self._folder / "log")
        self._call("pg_ctl", "-D", self._data, "-l", log, "-o", listen, "-t", "120", "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: at once, which it takes for a crash when it starts again, or "fast"."""
        self._call("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")

    def remove(self) -> None:
        """Stop it, and delete all that it wrote."""
        try:
            self.stop("fast")
        finally:
            shutil.rmtree(self._folder)

    def _call(self, program: str, *arguments: str, **environment: str) -> None:
        as_user = ("runuser", "-u", _USER, "--") if os.geteuid() == 0 else ()
        done = subprocess.run(
            [*as_user, str(self._programs / program), *arguments],
            # It stays where this user may be.
            cwd=self._folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            # A file, not a pipe: the server that pg_ctl leaves behind would hold it open.
            stdout=(output := (self._folder / "output").open("a")),
            stderr=output,
            check=False,
        )
        output.close()
        assert done.returncode == 0, (self._folder / "output").read_text()
