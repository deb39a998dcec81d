"""Rows of the report: seeds folded, columns found, intervals of the right kind."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from tests.compare.runs import RUNS, make_predictions, make_rows, make_run
from transfer.compare.statistics import student_interval, wilson_interval


def test_seeds_are_folded_and_the_best_comes_first() -> None:
    rows = make_rows(RUNS)
    assert [row.keys for row in rows] == [{"model": "b"}, {"model": "a"}]
    assert [len(row.runs) for row in rows] == [1, 2]
    assert rows[1].metric("test/acc") == [0.5, 0.6]


def test_of_equals_on_validation_none_is_chosen_by_its_test_images() -> None:
    """Two rows mostly get as many of twenty validation images right."""
    runs = [make_run(model, 0, 0, accuracy) for model, accuracy in {"b": 0.9, "a": 0.8}.items()]
    for run in runs:
        del run.metrics["best/val_acc"]
    assert [row.runs[0] for row in make_rows(runs)] == runs, "there is nothing else to go by"
    for run in runs:
        run.metrics["best/val_acc"] = 0.5
    assert [row.runs[0] for row in make_rows(runs)] == runs[::-1], "by name"
    runs[0].metrics.update({"test/acc": 0.7, "best/val_loss": 0.5})
    runs[1].metrics["best/val_loss"] = 0.6
    assert [row.runs[0] for row in make_rows(runs)] == runs, "by validation loss"


def test_the_same_run_again_is_not_another_seed() -> None:
    again = dataclasses.replace(RUNS[0], id="again")
    [_, row] = make_rows([*RUNS, again])
    assert [run.id for run in row.runs] == ["again", "a-0-1"]


def test_the_head_alone_in_all_epochs_is_frozen_to_the_end() -> None:
    tunes = {"head": 3, "last:1": 1, "all": 1}
    rows = make_rows([make_run("a", 1, 0, 0.5, tune=tune) for tune in tunes])
    assert {row.params["tune"]: row.freeze_epochs for row in rows} == tunes
    assert {row.label for row in rows} == {f"a tune={tune}" for tune in tunes}


def test_std_of_the_batch_loss_and_gap() -> None:
    [_, row] = make_rows(RUNS)
    assert row.batch_loss_std() == [1.0, 1.0]
    assert row.generalisation_gap() == pytest.approx([0.2, 0.1])


def test_the_gap_is_that_of_the_tested_weights_where_they_were_measured() -> None:
    run = make_run("a", 0, 0, 0.5)
    run.metrics.update({"best/train_acc": 0.8, "best/epoch": 1})
    [row] = make_rows([run, make_run("a", 0, 1, 0.6)])
    # The history says 0.1 in epoch 1 and 0.7 at the end.
    assert row.generalisation_gap() == pytest.approx([0.3, 0.1])
    assert row.lost_in_evaluation() == pytest.approx([-0.7, math.nan], nan_ok=True)


def test_several_seeds_have_students_interval_and_one_has_wilsons() -> None:
    predictions = {"b-0-0": make_predictions([True] * 9 + [False])}
    [one, several] = make_rows(RUNS, predictions=predictions)
    assert one.accuracy == wilson_interval(9, 10)
    exact = student_interval([0.5, 0.6])
    assert several.accuracy.estimate == exact.estimate == pytest.approx(0.55)
    # Student would have it from -9 to 119 %.
    assert exact.low < 0 and exact.high > 1
    assert 0 < several.accuracy.low < 0.2 and 0.8 < several.accuracy.high < 1
    assert several.accuracy.over == "seeds" and one.accuracy.over == "images"
    # Without predictions, one seed says nothing of its uncertainty.
    alone = make_rows(RUNS)[0]
    assert not alone.accuracy.known and alone.accuracy.over == "nothing"


def test_several_seeds_that_answered_the_same_images_have_an_interval_over_both() -> None:
    answers = {
        f"a-0-{seed}": make_predictions([True] * (50 + 10 * seed) + [False] * (50 - 10 * seed))
        for seed in range(2)
    }
    row = make_rows(RUNS[:2], predictions=answers)[0]
    assert row.accuracy.over == "both" and row.accuracy.estimate == pytest.approx(0.55)
    # Wider than that of one network of such accuracy on these images.
    one = wilson_interval(55, 100)
    assert 0 < row.accuracy.low < one.low and one.high < row.accuracy.high < 1


@pytest.mark.parametrize("errors", [0, 1])
def test_few_errors_or_none_leave_no_interval_from_0_to_1(errors: int) -> None:
    shares = (1.0, 1.0, 1 - errors / 300)
    # Others scatter by a point, which moderates what seeds of this one do.
    means = {"a": shares, "b": (0.90, 0.91, 0.89)}
    runs = [make_run(model, 0, s, own[s]) for model, own in means.items() for s in range(3)]
    answers = {
        run.id: make_predictions(np.arange(300) < round(300 * run.metrics["test/acc"]))
        for run in runs
    }
    accuracy = make_rows(runs, predictions=answers)[0].accuracy
    assert accuracy.estimate == pytest.approx(np.mean(shares))
    # Of one network without errors Wilson's interval begins at 0.987.
    assert 0.96 < accuracy.low < 0.987 and accuracy.estimate <= accuracy.high <= 1


def test_the_worst_class_of_each_seed() -> None:
    # Labels 0, 1, 0, 1: class 1 is never right.
    predictions = {"b-0-0": make_predictions([True, False, True, False])}
    [row, other] = make_rows(RUNS, predictions=predictions)
    assert row.worst_class() == [0.0]
    assert row.class_accuracy.tolist() == [1.0, 0.0]
    assert all(math.isnan(value) for value in other.worst_class())
    assert len(other.class_accuracy) == 0


def test_a_missing_accuracy_comes_last() -> None:
    broken = make_run("c", 0, 0, math.nan)
    assert [row.keys["model"] for row in make_rows([broken, *RUNS])] == ["b", "a", "c"]
