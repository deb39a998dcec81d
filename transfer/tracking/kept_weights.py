"""Which runs have kept their weights, by `tracking.weights`, and how to come by them."""

from pathlib import Path

from transfer.system.errors import ConfigError
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.find import KEPT_FOR, SURPASSED_BY, last_in_place_of
from transfer.tracking.previous_run import folder_of, lock_of
from transfer.tracking.run_record import RunRecord
from transfer.tracking.run_state import WEIGHTS, RunState, is_in_store, mark_of, note_in_store
from transfer.tracking.store import Client, answering


def has_weights(client: Client, run: RunRecord) -> bool:
    """Whether the store has the weights of a run."""
    return WEIGHTS in {each.path for each in client.list_artifacts(run.id)}


def fetch_weights(client: Client, run: RunRecord, folder: Path, *, key: str, value: str) -> Path:
    """The weights of a run, as `fetch_artifact`.

    Args:
        key, value: what the user wrote, for the message.

    Raises:
        ConfigError: it has none.
    """
    if not has_weights(client, run):
        raise ConfigError(key, value, _why_none(client, run))
    return fetch_artifact(client, run, WEIGHTS, folder)


def remove_weights(client: Client, run: RunRecord, best: RunRecord) -> None:
    """Delete the weights of a finished run, in the store and in its folder, for another's sake.

    Raises:
        Exception: the store does not delete them.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if best.tags.get("mlflow.parentRunId") != run.tags.get("mlflow.parentRunId"):
        keep_for(client, best, run.tags.get("mlflow.parentRunId", ""))
    # The store first: what it refuses stays in the folder, too.
    client.set_tag(run.id, SURPASSED_BY, best.id)
    get_artifact_repository(run.artifacts, client.tracking_uri).delete_artifacts(WEIGHTS)
    folder = folder_of(run)
    if folder is not None:
        with lock_of(folder, timeout_s=1.0):
            _remove_from_folder(folder, run, best)


def _remove_from_folder(folder: Path, run: RunRecord, best: RunRecord) -> None:
    state = RunState.load(folder)
    if state is None or state.run_id != run.id:
        return
    whole = is_in_store(folder)
    kept = {name: times for name, times in state.artifacts.items() if name != WEIGHTS}
    state.update(artifacts=kept, tags=state.tags | {SURPASSED_BY: best.id})
    if whole:
        note_in_store(folder, mark_of(folder))
    (folder / WEIGHTS).unlink(missing_ok=True)


def keep_for(client: Client, run: RunRecord, sweep_id: str) -> None:
    """Have a run keep its weights whatever its own sweep makes of them: another counts on them."""
    with answering(client.tracking_uri, "written"):
        client.set_tag(run.id, KEPT_FOR, sweep_id)


def _why_none(client: Client, run: RunRecord) -> str:
    again = "take another, or train it again"
    if SURPASSED_BY in run.tags:
        best = last_in_place_of(client, run).id
        return f"its sweep kept the weights of the best run alone (tracking.weights=best): {best}"
    if run.params.get("tracking.weights") == "none":
        return f"this run kept no weights (tracking.weights=none); {again} with =all"
    restored = "as runs that were kept and restored"
    return f"the store has this run without its weights, {restored}; {again}"
