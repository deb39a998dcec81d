"""A report of a thousand runs: under 30 s and 1 GB, in time that grows no faster than the runs.

The runs are logged, not trained: 40 epochs, 800 iteration losses and 10,000 test images each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from transfer.tracking.store import experiment_id, open_store

ROOT = Path(__file__).resolve().parents[2]
EPOCHS, ITERATIONS, IMAGES, CLASSES = 40, 800, 10_000, 10
EPOCH_METRICS = ("train/loss", "train/acc", "val/loss", "val/acc", "lr/head", "lr/backbone")
COUNTS = (100, 300, 1000)


@pytest.mark.parametrize("seeds", [5, 1])
def test_a_thousand_runs(tmp_path: Path, seeds: int) -> None:
    """`seeds` runs of each configuration; with one, there are most rows and most pairs."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    client = open_store(uri)
    lines = ["| runs | configurations | report, s | peak memory, MB |", "|---|---|---|---|"]
    seconds = []
    made = 0
    for count in COUNTS:
        for number in range(made, count):
            _log_run(client, tmp_path, number, seeds)
        made = count
        elapsed, memory = _report(uri, tmp_path)
        seconds.append(elapsed)
        lines.append(f"| {count} | {count // seeds} | {elapsed:.1f} | {memory:.0f} |")
        print("\n".join(lines))
    assert seconds[-1] < 30
    assert memory < 1000
    # To start takes the same time for every report; what comes on top is what may grow.
    assert seconds[2] - seconds[0] < 1.2 * 900 / 200 * (seconds[1] - seconds[0])


def _log_run(client: MlflowClient, folder: Path, number: int, seeds: int) -> None:
    random = np.random.default_rng(number)
    configuration, seed = divmod(number, seeds)
    accuracy = 0.6 + 0.3 * np.random.default_rng(configuration).random() + 0.01 * random.normal()
    params = {
        "model.name": f"model{configuration % 10}",
        "optimizer.lr": f"{1e-4 * (1 + configuration // 10)}",
        "freeze_epochs": "5",
        "epochs": f"{EPOCHS}",
        "batch_size": "64",
        "seed": f"{seed}",
        "data.name": "cifar10",
        "weights": "starter",
        **{f"other.key{key}": "same" for key in range(30)},
    }
    tags = {
        "transfer.fingerprint": f"{number:016x}",
        "transfer.configuration": f"{configuration:016x}",
    }
    name = f"model{configuration % 10}-freeze5-seed{seed}"
    run_id = client.create_run(experiment_id(client), tags=tags, run_name=name).info.run_id
    history = _history(random, accuracy)
    points = zip(history["metric"], history["value"], history["step"], strict=True)
    once = {"test/acc": accuracy, "test/loss": 1.0, "test/ece": 0.05, "best/val_acc": accuracy}
    once |= {
        "profile/params": 1e6 * (1 + configuration % 10),
        "profile/macs": 1e7,
        "time/train_s": 9,
    }
    metrics = [Metric(metric, value, 0, step) for metric, value, step in points]
    metrics += [Metric(metric, value, 0, 0) for metric, value in once.items()]
    for start in range(0, len(metrics), 1000):
        client.log_batch(run_id, metrics=metrics[start : start + 1000])
    client.log_batch(run_id, params=[Param(*pair) for pair in params.items()])
    history.drop(columns="step").to_parquet(folder / "history.parquet", index=False)
    labels = np.arange(IMAGES) % CLASSES
    logits = random.normal(size=(IMAGES, CLASSES)).astype(np.float32)
    logits[np.arange(IMAGES), labels] += 4 * accuracy
    names = [f"class {index}" for index in range(CLASSES)]
    np.savez(folder / "predictions.npz", logits=logits, labels=labels, classes=names)
    for file in ("history.parquet", "predictions.npz"):
        client.log_artifact(run_id, str(folder / file))
    client.set_terminated(run_id, "FINISHED")


def _history(random: np.random.Generator, accuracy: float) -> pd.DataFrame:
    steps = np.arange(1, ITERATIONS + 1)
    epochs = np.arange(1, EPOCHS + 1)
    losses = 2 * np.exp(-steps / 300) + 0.1 * random.random(ITERATIONS)
    parts = [
        pd.DataFrame(
            {
                "metric": "step/loss",
                "epoch": 1 + (steps - 1) * EPOCHS // ITERATIONS,
                "iteration": steps,
                "value": losses,
                "step": steps,
            }
        )
    ]
    for metric in EPOCH_METRICS:
        values = accuracy * (1 - np.exp(-epochs / 8)) + 0.01 * random.random(EPOCHS)
        columns = {"metric": metric, "epoch": epochs, "iteration": None, "value": values}
        parts.append(pd.DataFrame({**columns, "step": epochs}))
    return pd.concat(parts, ignore_index=True).astype({"iteration": "Int64"})


def _report(uri: str, folder: Path) -> tuple[float, float]:
    """Seconds and megabytes of the command that a user types."""
    command = [sys.executable, str(ROOT / "experiments/report.py"), "sweep=all"]
    start = time.perf_counter()
    process = subprocess.Popen([*command, f"out={folder}/report", f"tracking_uri={uri}"])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - start, usage.ru_maxrss * 1024 / 1e6
