"""Rows of the report: seeds folded, columns found, nothing dropped."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from transfer.report.markdown import comparison_table, outcome_table, write_markdown
from transfer.report.table import build_rows, constant_keys, varying_keys
from transfer.tracking.find import RunRecord


def make_run(
    model: str, freeze: int, seed: int, accuracy: float, status: str = "FINISHED"
) -> RunRecord:
    return RunRecord(
        id=f"{model}-{freeze}-{seed}",
        name=f"{model}-freeze{freeze}-seed{seed}",
        status=status,
        params={
            "model.name": model,
            "freeze_epochs": str(freeze),
            "seed": str(seed),
            "epochs": "3",
            "device": "cpu",
        },
        metrics={
            "test/acc": accuracy,
            "best/val_acc": accuracy,
            "profile/params": {"a": 1000}.get(model, 2_000_000),
            "profile/trainable_params": 10,
            "profile/macs": 5e6,
            "profile/latency_ms": 1.0,
            "time/train_s": 2.0,
        },
        tags={"transfer.configuration": f"{model}{freeze}"},
    )


def _history(final_accuracy: float) -> pd.DataFrame:
    steps = [("step/loss", 1, 1, 9.0), ("step/loss", 2, 2, 1.0), ("step/loss", 2, 3, 3.0)]
    epochs = [("train/acc", 1, None, 0.1), ("train/acc", 2, None, final_accuracy)]
    return pd.DataFrame(steps + epochs, columns=["metric", "epoch", "iteration", "value"])


RUNS = [
    make_run("a", 0, 0, 0.50),
    make_run("a", 0, 1, 0.60),
    make_run("b", 0, 0, 0.90),
    make_run("b", 5, 0, 0.30, status="FAILED"),
]
HISTORIES = {run.id: _history(0.7) for run in RUNS}


def test_seeds_are_folded_and_the_best_comes_first() -> None:
    rows = build_rows(RUNS, HISTORIES)
    assert [row.keys for row in rows] == [{"model": "b"}, {"model": "a"}]
    assert [len(row.runs) for row in rows] == [1, 2]
    assert rows[1].metric("test/acc") == [0.5, 0.6]


def test_keys_that_vary_become_columns_and_the_seed_never_does() -> None:
    runs = [make_run("a", 0, 0, 0.5), make_run("b", 5, 1, 0.5)]
    assert varying_keys(runs) == ["model.name", "freeze_epochs"]
    assert constant_keys(runs) == {"epochs": "3"}


def test_what_comes_with_a_choice_is_no_column() -> None:
    runs = [make_run("a", 0, 0, 0.5) for _ in range(3)]
    for run, optimizer, rate in zip(runs, ("adam", "sgd", "sgd"), ("1", "1", "2"), strict=True):
        momentum = {"optimizer.momentum": "0.9"} if optimizer == "sgd" else {}
        run.params.update({"optimizer.name": optimizer, "optimizer.lr": rate} | momentum)
    assert varying_keys(runs) == ["model.name", "optimizer.lr", "optimizer.name"]
    assert "optimizer.momentum" not in constant_keys(runs)


def test_the_same_run_again_is_not_another_seed() -> None:
    again = dataclasses.replace(RUNS[0], id="again")
    [_, row] = build_rows([*RUNS, again], HISTORIES | {"again": HISTORIES[again.name[0] + "-0-0"]})
    assert [run.id for run in row.runs] == ["again", "a-0-1"]


def test_spread_and_gap() -> None:
    [_, row] = build_rows(RUNS, HISTORIES)
    assert row.loss_spread() == [1.0, 1.0]
    assert row.generalisation_gap() == pytest.approx([0.2, 0.1])


def test_the_table_shows_mean_and_deviation_and_the_best_in_bold() -> None:
    table = comparison_table(build_rows(RUNS, HISTORIES))
    head, _, first, second = table.splitlines()
    assert "test acc %" in head and "seeds" in head
    assert "**90.00**" in first and "2 M" in first
    assert "55.00 ± 7.07" in second and "**1 k**" in second
    # Equal everywhere: bold would say nothing.
    assert "**5 M**" not in table and "5 M" in table
    assert len({len(line) for line in table.splitlines()}) == 1


def test_a_measure_that_is_missing_is_a_dash() -> None:
    run = make_run("a", 0, 0, 0.5)
    del run.metrics["profile/latency_ms"]
    assert "–" in comparison_table(build_rows([run], HISTORIES))


def test_what_did_not_finish_is_listed_with_its_error() -> None:
    failed = make_run("b", 5, 0, 0.3, status="FAILED")
    failed.tags["transfer.error"] = "RuntimeError: a | b"
    assert "RuntimeError: a \\| b" in outcome_table([failed])
    sweep = RunRecord("id", "sweep", "FAILED", {}, {}, {"transfer.sweep": "day/time"})
    report = write_markdown([], [failed], [sweep], [])
    assert "## Not finished" in report
    assert "b-freeze5-seed0" in report
