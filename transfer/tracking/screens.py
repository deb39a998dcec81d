"""Screens in the store: a run each, which no report takes for a job or a sweep."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from transfer.system.errors import without_password
from transfer.tracking.environment import environment_tags
from transfer.tracking.find import find_tagged
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client, answering, experiment_id

KIND = "screen"
TABLE = "screen.json"


def log_screen(
    client: Client,
    table: pd.DataFrame,
    params: Mapping[str, object],
    text: str,
    seconds: float,
) -> str:
    """Log a screen that is done as a finished run named "screen".

    Args:
        table: a row a candidate; with `label`, its numbers become metrics, and all of it the
            artifact screen.json, which MLflow shows as a table.
        params: `data.test_digest` is among them, by which it is found again.
        text: Markdown, the run's description.
        seconds: that it took.

    Returns:
        the run's id.

    Raises:
        ConfigError: the store cannot be written.
    """
    from mlflow.entities import Metric, Param

    end = int(time.time() * 1000)
    tags = {**environment_tags(), "transfer.kind": KIND, "mlflow.note.content": text}
    tags["mlflow.source.name"] = "experiments/screen.py"
    tags["transfer.test_digest"] = str(params["data.test_digest"])
    texts = {name: without_password(str(value)) for name, value in params.items()}
    values = {"time/screen_s": seconds}
    for row in table.to_dict("records"):
        # A slash would be another level, and MLflow refuses what a file's name may have.
        label = re.sub(r"[^\w.\- ]", "-", str(row["label"]))
        values |= {f"{name}/{label}": float(row[name]) for name in ("linear", "neighbours")}
    with answering(client.tracking_uri, "written"):
        start = end - int(1000 * seconds)
        run = client.create_run(
            experiment_id(client), start_time=start, tags=tags, run_name="screen"
        )
        metrics = [Metric(name, value, end, 0) for name, value in values.items()]
        client.log_batch(run.info.run_id, metrics, [Param(*each) for each in texts.items()])
        client.log_text(run.info.run_id, table.to_json(orient="split"), TABLE)
        client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def find_screens(client: Client, test_digest: str) -> list[RunRecord]:
    """The runs of all screens that set these images apart for testing, newest first."""
    return find_tagged(client, {"transfer.kind": KIND, "transfer.test_digest": test_digest})


def read_screen(path: Path) -> pd.DataFrame:
    """The table of a screen, from its artifact screen.json."""
    # Not by pandas, which guesses at types: a digest of digits alone would become a number.
    content = json.loads(path.read_text(encoding="utf-8"))
    return pd.DataFrame(content["data"], columns=content["columns"])


def join_screens(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The candidates of several screens of the same images, each as the first of them has it."""
    keys = ["model", "weights_digest", "image_size"]
    return pd.concat(tables, ignore_index=True).drop_duplicates(keys, ignore_index=True)
