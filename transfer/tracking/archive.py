"""Finished runs as small files, which a repository can keep and any store can take in again."""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from transfer.system.errors import ConfigError, first_line
from transfer.tracking.artifacts import condense, read_predictions
from transfer.tracking.environment import without_folder, without_places
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.find import KEPT_FOR, SURPASSED_BY, find_by_fingerprint
from transfer.tracking.run_record import RunRecord
from transfer.tracking.run_state import Point, RunState
from transfer.tracking.store import Client, answering
from transfer.tracking.stored_run import create_run
from transfer.tracking.sync import Sync

# They say where and by whom, which is nobody's business elsewhere; nor may an archive of unknown
# origin name a folder here.
_LOCAL_TAGS = (
    "hydra.output_dir", "mlflow.note.content", "mlflow.parentRunId", "mlflow.user",
    KEPT_FOR, SURPASSED_BY,
    "transfer.host", "transfer.process", "transfer.process_start",
)  # fmt: skip
_STEPS = 1000  # iterations kept of a run's losses, and all of the last epoch


def keep_run(client: Client, run: RunRecord, folder: Path) -> Path:
    """Write a finished run into a folder of its own below `folder`, some 50 kB in all.

    What a report reads is kept: parameters, metrics, tags, curves (with at most some thousands of
    iteration losses) and, of every test image, the predicted class with its probability. Logits,
    pictures, weights and checkpoints are not.

    Returns:
        The run's folder.
    """
    name = re.sub(r"[^\w.-]+", "_", run.name)
    kept = folder / f"{name}-{run.tags['transfer.fingerprint'][:8]}"
    info = client.get_run(run.id).info
    tags = {tag: value for tag, value in run.tags.items() if tag not in _LOCAL_TAGS}
    text = {
        "name": run.name,
        "start_time": info.start_time,
        "end_time": info.end_time,
        "params": _without_paths(run.params),
        "metrics": run.metrics,
        "tags": tags | {"transfer.command": without_places(tags.get("transfer.command", ""))},
    }
    with tempfile.TemporaryDirectory() as copies:
        history = pd.read_parquet(fetch_artifact(client, run, "history.parquet", Path(copies)))
        answers = read_predictions(fetch_artifact(client, run, "predictions.npz", Path(copies)))
    # run.json comes last: a folder without it is no kept run.
    kept.mkdir(parents=True, exist_ok=True)
    _thinned(history).to_parquet(kept / "history.parquet", index=False, compression="zstd")
    # Of runs that were kept before losses were, there are none.
    loss = np.empty(0) if answers.loss is None else answers.loss
    np.savez_compressed(
        kept / "predictions.npz",
        labels=answers.labels,
        predicted=answers.predicted,
        confidence=answers.confidence.astype(np.float16),
        loss=loss.astype(np.float16),
        classes=list(answers.names),
    )
    (kept / "run.json").write_text(json.dumps(text, indent=1, sort_keys=True) + "\n")
    return kept


def restore_runs(client: Client, folder: Path) -> Iterator[tuple[str, bool]]:
    """Log every run below `folder`, except those of which the store has the result already.

    Yields:
        Each run's name, and whether it was new to the store.

    Raises:
        ConfigError: there is no kept run, or one is incomplete or damaged, which is found before
            the first is logged; or the store does not take one.
    """
    kept = sorted(path.parent for path in folder.glob("*/run.json"))
    if not kept:
        problem = "no kept runs here; name a folder that keep= has written"
        raise ConfigError("restore", str(folder), problem)
    # Not all in memory at once.
    for each in kept:
        _read_kept(each)
    for each in kept:
        state = _read_kept(each)
        others = find_by_fingerprint(client, str(state.tags["transfer.fingerprint"]))
        new = not any(run.finished for run in others)
        if new:
            _log(client, state)
        yield state.name, new


def _read_kept(folder: Path) -> RunState:
    try:
        text = json.loads((folder / "run.json").read_text())
        history = pd.read_parquet(folder / "history.parquet")
        # What a report makes of them.
        condense(history)
        read_predictions(folder / "predictions.npz")
        text["tags"]["transfer.fingerprint"]
        return RunState(
            folder,
            text["name"],
            dict(text["tags"]),
            params=dict(text["params"]),
            artifacts=dict.fromkeys(("history.parquet", "predictions.npz"), 1),
            start_time=text["start_time"],
            status="FINISHED",
            end_time=text["end_time"],
            points={point.key: point for point in _points(text, history)},
        )
    except Exception as error:
        # Whatever a damaged file makes its reader raise.
        problem = f"not a run as keep= writes it ({type(error).__name__}: {first_line(error)})"
        raise ConfigError("restore", str(folder), problem) from error


def _log(client: Client, state: RunState) -> None:
    with answering(client.tracking_uri, "written"):
        create_run(client, state)
    sync = Sync(client, state)
    sync.finish(patience_s=30)
    if str(sync):
        raise ConfigError("tracking.uri", client.tracking_uri, f"{state.name} is not there {sync}")


def _points(text: dict[str, Any], history: pd.DataFrame) -> list[Point]:
    """The curves, and the metrics that a run has once."""
    steps = history["iteration"].fillna(history["epoch"]).astype(int)
    curves = zip(history["metric"], history["value"], steps, strict=True)
    once = set(text["metrics"]) - set(history["metric"])
    return [
        *(Point(name, float(value), step, text["end_time"]) for name, value, step in curves),
        *(Point(name, text["metrics"][name], 0, text["end_time"]) for name in sorted(once)),
    ]


def _without_paths(params: dict[str, str]) -> dict[str, str]:
    """Parameters without the store's address, which may hold a password, and without folders."""
    names = [name for name in params if name != "tracking.uri"]
    return {name: without_folder(name, params[name]) for name in names}


def _thinned(history: pd.DataFrame) -> pd.DataFrame:
    of_steps = history["metric"] == "step/loss"
    steps = history[of_steps]
    stride = -(-len(steps) // _STEPS) or 1
    kept = (np.arange(len(steps)) % stride == 0) | (steps["epoch"] == steps["epoch"].max())
    small = pd.concat([history[~of_steps], steps[kept]])
    return small.astype({"value": "float32", "epoch": "int32", "iteration": "Int32"})
