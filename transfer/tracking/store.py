"""The MLflow store: which one, and the experiment in it."""

import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from transfer.system.errors import ConfigError, root_cause
from transfer.system.lock import Lock, knows_byte_locks
from transfer.system.paths import REPOSITORY
from transfer.tracking.moved_store import ARTIFACTS, SQLITE, find_beside

if TYPE_CHECKING:
    from mlflow import MlflowClient

    Client = MlflowClient
else:
    # A name for annotations: importing MLflow takes seconds.
    Client = Any

_EXPERIMENT = "transfer"
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PATIENCE_S = 5.0


def store_uri(choice: str | None) -> str:
    """`tracking.uri`, else MLFLOW_TRACKING_URI, else mlflow.db beside train.py.

    The store is always named: MLflow's own default depends on which folders lie about.

    Raises:
        ConfigError: the choice is empty, as where a variable of the shell is not set.
    """
    if choice == "":
        raise ConfigError("tracking.uri", "''", "is empty; name a store, or leave it out")
    return choice or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{REPOSITORY}/mlflow.db"


def experiment_name() -> str:
    """MLFLOW_EXPERIMENT_NAME, else "transfer".

    Raises:
        ConfigError: MLFLOW_EXPERIMENT_ID, by which MLflow knows it too, is set in its place.
    """
    name, number = (os.environ.get(f"MLFLOW_EXPERIMENT_{each}") for each in ("NAME", "ID"))
    if number and not name:
        problem = "give its name, as MLFLOW_EXPERIMENT_NAME: it is made where it is missing"
        raise ConfigError("MLFLOW_EXPERIMENT_ID", number, problem)
    return name or _EXPERIMENT


def open_store(uri: str, patience_s: float = 0.0) -> Client:
    """A client of the store at `uri`, which is created, with its experiment, where it is missing.

    Several processes may open a new SQLite store at once: one creates it, the others wait.

    Args:
        patience_s: seconds to wait for a store that cannot be opened.

    Raises:
        ConfigError: the store cannot be opened.
    """
    end = time.monotonic() + patience_s
    while True:
        try:
            return _open(uri)
        except ConfigError:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def _open(uri: str) -> Client:
    with answering(uri, "opened"):
        _require_reachable(uri)
    _settle_mlflow()
    from mlflow import MlflowClient

    lock: AbstractContextManager[object] = nullcontext()
    artifacts = None
    if uri.startswith(SQLITE):
        path = Path(uri.removeprefix(SQLITE))
        # A database server locks its own tables; SQLite's are made by many small transactions.
        lock = Lock(Path(f"{path}.lock"), timeout_s=60)
        # MLflow's default would be below wherever one happens to stand.
        folder = re.sub(r"[^\w.-]", "_", experiment_name())
        artifacts = (path.resolve().parent / ARTIFACTS / folder).as_uri()
    with answering(uri, "opened"), lock:
        if uri.startswith(SQLITE) and path.exists():
            find_beside(path)
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(experiment_name())
        if experiment is None:
            _create_experiment(client, artifacts)
    if experiment is not None and experiment.lifecycle_stage == "deleted":
        restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        problem = f"its experiment was deleted; bring it back with: {restore}"
        raise ConfigError("tracking.uri", uri, problem)
    return client


def _create_experiment(client: Client, artifacts: str | None) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_experiment(experiment_name(), artifact_location=artifacts)
    except MlflowException as error:
        # Another machine was faster, which no lock of this one keeps back.
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _settle_mlflow() -> None:
    # Creating the tables prints a line for each migration since 2018.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # What fails here is said by whoever notices, without a page of traceback; and each attempt of a
    # request that is made again is no news.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    # Runs are nobody else's business: MLflow reports its use to its makers unless told not to.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # A bar for each small file would drown everything else.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # At the end of each run it would ask a server for the whole of it, to print its address among
    # the lines of all jobs, with the password where the server's address has one.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # MLflow would try a request for six minutes, and wait two for an answer. A run tries again
    # itself, and everything else should say soon that the server is down.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")


@contextmanager
def answering(uri: str, verb: str) -> Iterator[None]:
    """Turn an error of the store into one line.

    Args:
        verb: what cannot be done with the store then, such as "opened".

    Raises:
        ConfigError: in its place.
    """
    try:
        yield
    except Exception as error:
        # By name: importing MLflow takes seconds, and SQLAlchemy belongs to it.
        library = type(error).__module__.partition(".")[0]
        driver = isinstance(error, ImportError) and not uri.startswith("http")
        if (
            library in ("mlflow", "sqlalchemy", "sqlite3")
            or isinstance(error, OSError | ValueError)
            or driver
        ):
            problem = f"the store cannot be {verb} ({root_cause(error)})"
            if driver:
                problem += f"; {_advice_on_driver(uri)}"
            raise ConfigError("tracking.uri", uri, problem) from error
        raise


def _advice_on_driver(uri: str) -> str:
    if not uri.startswith("postgresql"):
        return "install the driver of its database"
    # Which one a bare postgresql:// means depends on SQLAlchemy's version.
    return "pip install psycopg2-binary, and write postgresql+psycopg2://"


def _require_reachable(uri: str) -> None:
    """MLflow itself would try for minutes."""
    parts = urlparse(uri)
    kind = parts.scheme.partition("+")[0]
    if kind == "sqlite":
        path = Path(uri.removeprefix(SQLITE))
        if path.exists():
            with path.open("rb") as file:
                if file.read(15) not in (b"", b"SQLite format 3"):
                    raise ConfigError("tracking.uri", uri, f"{path} is no SQLite database")
        if not knows_byte_locks(path.parent):
            problem = "this disk knows no locks, which SQLite needs; name a place on another disk"
            raise ConfigError("tracking.uri", uri, f"{problem} (sqlite:////home/…), or a server")
    elif parts.hostname and (parts.port or kind in _PORTS):
        address = (parts.hostname, parts.port or _PORTS[kind])
        socket.create_connection(address, timeout=_PATIENCE_S).close()
        if not kind.startswith("http"):
            from sqlalchemy import NullPool, create_engine

            # Such as a wrong password, at which MLflow would try ten times.
            create_engine(uri, poolclass=NullPool).connect().close()


def experiment_id(client: Client) -> str:
    """The id of this project's experiment in an open store."""
    return _experiment_id(client, experiment_name())


# It stays the same for as long as the store is open, and would be asked before every search.
@lru_cache(maxsize=4)
def _experiment_id(client: Client, name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return str(experiment.experiment_id)
