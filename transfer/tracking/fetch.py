"""Fetches what the store keeps of a run that was found: its artifacts and its curves."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transfer.system.errors import ConfigError
from transfer.tracking.moved_store import ARTIFACTS
from transfer.tracking.places import local_path
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client


def fetch_artifact(client: Client, run: RunRecord, name: str, folder: Path) -> Path:
    """One artifact of a run: where it lies if that is on this machine, else a copy in `folder`.

    Raises:
        ConfigError: it is to be on this machine, and is gone.
        Exception: the store does not give it.
    """
    if (place := local_path(run.artifacts)) is not None:
        if not (place / name).exists():
            problem = f"{place / name} of run {run.name} is gone; a store is moved with the folders"
            advice = f"{problem} {ARTIFACTS}/ and multirun/ beside it: bring them there too"
            raise ConfigError("tracking.uri", client.tracking_uri, advice)
        return place / name
    from mlflow.artifacts import download_artifacts

    return Path(
        download_artifacts(
            artifact_uri=f"{run.artifacts}/{name}",
            dst_path=str(folder),
            tracking_uri=client.tracking_uri,
        )
    )


def read_curve(client: Client, run: RunRecord, metric: str) -> NDArray[np.float64]:
    """A metric that was logged an epoch, in their order; empty where it was not."""
    points = client.get_metric_history(run.id, metric)
    # Of an epoch that was logged again after an interruption, the last.
    by_epoch = {
        point.step: point.value for point in sorted(points, key=lambda each: each.timestamp)
    }
    return np.array([by_epoch[epoch] for epoch in sorted(by_epoch)])
