"""Rows of the report: seeds folded, columns found, intervals of the right kind."""

from __future__ import annotations

import dataclasses
import math

import pytest

from tests.report.runs import RUNS, make_predictions, make_rows, make_run
from transfer.report.statistics import student_interval, wilson_interval
from transfer.report.table import constant_keys, varying_keys


def test_seeds_are_folded_and_the_best_comes_first() -> None:
    rows = make_rows(RUNS)
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
    [_, row] = make_rows([*RUNS, again])
    assert [run.id for run in row.runs] == ["again", "a-0-1"]


def test_spread_and_gap() -> None:
    [_, row] = make_rows(RUNS)
    assert row.loss_spread() == [1.0, 1.0]
    assert row.generalisation_gap() == pytest.approx([0.2, 0.1])


def test_several_seeds_have_students_interval_and_one_has_wilsons() -> None:
    predictions = {"b-0-0": make_predictions([True] * 9 + [False])}
    [one, several] = make_rows(RUNS, predictions=predictions)
    assert one.accuracy == wilson_interval(9, 10)
    assert several.accuracy == student_interval([0.5, 0.6])
    # Without predictions, one seed says nothing of its uncertainty.
    assert not make_rows(RUNS)[0].accuracy.known


def test_the_worst_class_of_each_seed() -> None:
    # Labels 0, 1, 0, 1: class 1 is never right.
    predictions = {"b-0-0": make_predictions([True, False, True, False])}
    [other, row] = make_rows(RUNS, predictions=predictions)
    assert row.worst_class() == [0.0]
    assert row.class_accuracy.tolist() == [1.0, 0.0]
    assert all(math.isnan(value) for value in other.worst_class())
    assert len(other.class_accuracy) == 0


def test_a_missing_accuracy_comes_last() -> None:
    broken = make_run("c", 0, 0, math.nan)
    assert [row.keys["model"] for row in make_rows([broken, *RUNS])] == ["b", "a", "c"]
