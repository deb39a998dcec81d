"""The tutorial's observations, from runs whose answers are known."""

from __future__ import annotations

import dataclasses

import pandas as pd

from tests.report.test_table import make_run
from transfer.report.observations import observations
from transfer.report.table import build_rows
from transfer.tracking.find import RunRecord


def _run(model: str, weights: str, accuracy: float, freeze: int = 0) -> RunRecord:
    run = make_run(model, freeze, 0, accuracy)
    configuration = {"transfer.configuration": f"{model}{weights}{freeze}"}
    return dataclasses.replace(
        run, id=f"{model}-{weights}", params=run.params | {"weights": weights}, tags=configuration
    )


def _history(train: list[float], validation: list[float]) -> pd.DataFrame:
    points = [
        (f"{split}/acc", epoch, None, value)
        for split, values in (("train", train), ("val", validation))
        for epoch, value in enumerate(values, start=1)
    ]
    return pd.DataFrame(points, columns=["metric", "epoch", "iteration", "value"])


def test_each_observation_is_answered_from_the_curves() -> None:
    runs = [
        _run("simple_cnn", "none", 0.60),
        _run("a", "none", 0.50),
        _run("a", "starter", 0.75, freeze=1),
    ]
    histories = {
        "simple_cnn-none": _history([0.5, 0.65, 0.70], [0.4, 0.5, 0.6]),
        "a-none": _history([0.3, 0.4, 0.5], [0.2, 0.3, 0.5]),
        "a-starter": _history([0.2, 0.5, 0.7], [0.3, 0.7, 0.7]),
    }
    text = observations(build_rows(runs, histories))
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    [starter] = [line for name, line in lines.items() if "starter" in name]
    assert "epoch 2, 1 of full training" in starter
    # Epochs 1 and 2; in epoch 3 the two are equal.
    assert "2 of 3 epochs" in starter
    assert "+25.00" in starter
    [scratch] = [line for name, line in lines.items() if name.startswith("a ") and "none" in name]
    assert "never" in scratch and "0 of 3 epochs" in scratch
    assert "60.00 % after 3 epochs" in text


def test_without_a_plain_cnn_the_report_says_so() -> None:
    rows = build_rows([_run("a", "none", 0.5)], {"a-none": _history([0.1], [0.2])})
    text = observations(rows)
    assert "not among these runs" in text
    assert "1 of 1 epochs" in text
