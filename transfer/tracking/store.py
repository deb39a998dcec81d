"""The MLflow store: which one, and the experiment in it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from transfer.config import ConfigError

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "transfer"
REPOSITORY = Path(__file__).resolve().parents[2]


def store_uri(choice: str | None) -> str:
    """`tracking.uri`, else MLFLOW_TRACKING_URI, else mlflow.db beside train.py.

    The store is always named: MLflow's own default depends on which folders lie about.
    """
    return choice or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{REPOSITORY}/mlflow.db"


def open_store(uri: str) -> MlflowClient:
    """A client of the store at `uri`, which is created, with its experiment, where it is missing.

    Call it in a sweep's driver before workers start: they would race to create it.

    Raises:
        ConfigError: the store cannot be opened.
    """
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
        client = MlflowClient(tracking_uri=uri)
        if client.get_experiment_by_name(EXPERIMENT) is None:
            client.create_experiment(EXPERIMENT, artifact_location=_artifact_location(uri))
    except (MlflowException, OSError, ValueError) as error:
        raise _refusal(uri, error) from error
    except Exception as error:
        # SQLAlchemy's errors, without importing it: it belongs to MLflow.
        if type(error).__module__.startswith("sqlalchemy"):
            raise _refusal(uri, error) from error
        raise
    return client


def experiment_id(client: MlflowClient) -> str:
    """The id of this project's experiment in an open store."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return str(experiment.experiment_id)


def _artifact_location(uri: str) -> str | None:
    """Beside the database file: MLflow's default would be below wherever one happens to stand."""
    if not uri.startswith("sqlite:///"):
        return None
    folder = Path(uri.removeprefix("sqlite:///")).resolve().parent
    return (folder / "mlartifacts" / EXPERIMENT).as_uri()


def _refusal(uri: str, error: Exception) -> ConfigError:
    first_line = str(error).partition("\n")[0]
    return ConfigError("tracking.uri", uri, f"the store cannot be opened ({first_line})")
