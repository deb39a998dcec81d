"""`weights=runs:/<run id>`: the weights of an earlier run, fetched before a job that starts from
them is made ready."""

import tempfile
from functools import lru_cache
from pathlib import Path

from transfer.config import Config
from transfer.models.checkpoint_file import read_tensors
from transfer.models.sources import describe_file
from transfer.models.weights import TrainedOn, Weights, make_weights
from transfer.system.errors import ConfigError
from transfer.tracking.find import find_job_run
from transfer.tracking.kept_weights import fetch_weights
from transfer.tracking.store import open_store, store_uri

_RUN = "runs:/"


def fetch_run_weights(config: Config) -> Weights | None:
    """The weights of the run that `config.weights` names; None where it names no run.

    Raises:
        ConfigError: the store has no such run, or the run has no weights.
    """
    if not config.weights.startswith(_RUN):
        return None
    run_id = config.weights.removeprefix(_RUN)
    if run_id == "latest":
        problem = "give a run's id; the latest changes while a sweep is running"
        raise ConfigError("weights", config.weights, problem)
    return _fetch(store_uri(config.tracking.uri), config.weights, run_id)


# The jobs of a sweep mostly share them, and what a finished run has does not change.
@lru_cache(maxsize=1)
def _fetch(uri: str, source: str, run_id: str) -> Weights:
    client = open_store(uri)
    run = find_job_run(client, run_id, key="weights", value=source)
    with tempfile.TemporaryDirectory() as folder:
        path = fetch_weights(client, run, Path(folder), key="weights", value=source)
        state = read_tensors(path, source)
        normalization, classes, _ = describe_file(path)
    # Files of before they said it are known by their run.
    trained_on = TrainedOn.of_params(run.params)
    return make_weights(source, state, normalization, classes, trained_on=trained_on)
