"""The MLflow store: which one, and the experiment in it."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from filelock import FileLock

from transfer.config import ConfigError, first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "transfer"
_SQLITE = "sqlite:///"
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PATIENCE_S = 5.0
REPOSITORY = Path(__file__).resolve().parents[2]


def store_uri(choice: str | None) -> str:
    """`tracking.uri`, else MLFLOW_TRACKING_URI, else mlflow.db beside train.py.

    The store is always named: MLflow's own default depends on which folders lie about.
    """
    return choice or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{REPOSITORY}/mlflow.db"


def open_store(uri: str) -> MlflowClient:
    """A client of the store at `uri`, which is created, with its experiment, where it is missing.

    Several processes may open a new SQLite store at once: one creates it, the others wait.

    Raises:
        ConfigError: the store cannot be opened.
    """
    _require_reachable(uri)
    # Creating the tables prints a line for each migration since 2018.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    # Runs are nobody else's business: MLflow reports its use to its makers unless told not to.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # A bar for each small file would drown everything else.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with _creation_lock(uri):
            client = MlflowClient(tracking_uri=uri)
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                client.create_experiment(EXPERIMENT, artifact_location=_artifact_location(uri))
    except (MlflowException, OSError, ValueError) as error:
        raise _refusal(uri, error) from error
    except Exception as error:
        # SQLAlchemy's errors, without importing it: it belongs to MLflow.
        if type(error).__module__.startswith("sqlalchemy"):
            raise _refusal(uri, error) from error
        raise
    if experiment is not None and experiment.lifecycle_stage == "deleted":
        restore = f"mlflow experiments restore --experiment-id {experiment.experiment_id}"
        problem = f"its experiment was deleted; bring it back with: {restore}"
        raise ConfigError("tracking.uri", uri, problem)
    return client


def _creation_lock(uri: str) -> AbstractContextManager[object]:
    """A database server locks its own tables; SQLite's are made by many small transactions."""
    if not uri.startswith(_SQLITE):
        return nullcontext()
    return FileLock(f"{uri.removeprefix(_SQLITE)}.lock", timeout=60)


def _require_reachable(uri: str) -> None:
    """MLflow itself would try for minutes."""
    parts = urlparse(uri)
    kind = parts.scheme.partition("+")[0]
    try:
        if kind == "sqlite":
            path = Path(uri.removeprefix(_SQLITE))
            if path.exists() and _start_of(path) not in (b"", b"SQLite format 3"):
                raise ConfigError("tracking.uri", uri, f"{path} is no SQLite database")
        elif parts.hostname and (parts.port or kind in _PORTS):
            address = (parts.hostname, parts.port or _PORTS[kind])
            socket.create_connection(address, timeout=_PATIENCE_S).close()
    except (OSError, ValueError) as error:
        raise _refusal(uri, error) from error


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(15)


def experiment_id(client: MlflowClient) -> str:
    """The id of this project's experiment in an open store."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return str(experiment.experiment_id)


def _artifact_location(uri: str) -> str | None:
    """Beside the database file: MLflow's default would be below wherever one happens to stand."""
    if not uri.startswith(_SQLITE):
        return None
    folder = Path(uri.removeprefix(_SQLITE)).resolve().parent
    return (folder / "mlartifacts" / EXPERIMENT).as_uri()


def _refusal(uri: str, error: Exception) -> ConfigError:
    return ConfigError("tracking.uri", uri, f"the store cannot be opened ({first_line(error)})")
