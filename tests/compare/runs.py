"""Runs with known answers, for the tests of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from transfer.compare.rows import Row, build_rows
from transfer.tracking.artifacts import History, Predictions, condense
from transfer.tracking.run_record import RunRecord


def make_run(
    model: str,
    freeze: int,
    seed: int,
    accuracy: float,
    status: str = "FINISHED",
    **params: str,
) -> RunRecord:
    others = "".join(f"-{value}" for value in params.values())
    return RunRecord(
        id=f"{model}-{freeze}-{seed}{others}",
        name=f"{model}-freeze{freeze}-seed{seed}",
        status=status,
        params={
            "model.name": model,
            "freeze_epochs": str(freeze),
            "seed": str(seed),
            "epochs": "3",
            "device": "cpu",
            **params,
        },
        metrics={
            "test/acc": accuracy,
            "best/val_acc": accuracy,
            "profile/params": {"a": 1000}.get(model, 2_000_000),
            "profile/trainable_params": 10,
            "profile/macs": {"a": 1e6}.get(model, 5e6),
            "profile/latency_ms": 1.0,
            "time/train_s": 2.0,
        },
        tags={"transfer.configuration": f"{model}{freeze}{others}"},
    )


def make_history(train: Iterable[float], validation: Iterable[float] = ()) -> History:
    """Curves of accuracy, and iteration losses 9; 1, 3 over two epochs."""
    points: list[tuple[str, int, int | None, float]] = [
        ("step/loss", 1, 1, 9.0),
        ("step/loss", 2, 2, 1.0),
        ("step/loss", 2, 3, 3.0),
    ]
    for name, values in (("train/acc", train), ("val/acc", validation)):
        points += [(name, epoch, None, value) for epoch, value in enumerate(values, start=1)]
    frame = pd.DataFrame(points, columns=["metric", "epoch", "iteration", "value"])
    return condense(frame.astype({"iteration": "Int64"}))


def make_predictions(correct: Iterable[bool], classes: int = 2) -> Predictions:
    """Labels 0, 1, … in turn; a wrong answer is the next class."""
    right = np.array(list(correct))
    labels = (np.arange(len(right)) % classes).astype(np.int16)
    predicted = np.where(right, labels, (labels + 1) % classes).astype(np.int16)
    names = [f"class {number}" for number in range(classes)]
    return Predictions(labels, predicted, np.full(len(right), 0.75, dtype=np.float32), names)


def make_rows(
    runs: Iterable[RunRecord],
    histories: Mapping[str, History] | None = None,
    predictions: Mapping[str, Predictions] | None = None,
) -> list[Row]:
    """Rows of runs, by id; a run without a history of its own gets a short one."""
    return build_rows(
        runs,
        lambda run: (histories or {}).get(run.id) or make_history([0.1, 0.7], [0.2, 0.6]),
        lambda run: (predictions or {}).get(run.id),
    )


RUNS = [
    make_run("a", 0, 0, 0.50),
    make_run("a", 0, 1, 0.60),
    make_run("b", 0, 0, 0.90),
    make_run("b", 5, 0, 0.30, status="FAILED"),
]
