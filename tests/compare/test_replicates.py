"""What repeats what: seeds, splits and folds, old runs beside new ones, and parts of a report."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.compare.runs import RUNS, make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.intervals import overlap_of
from transfer.compare.replicates import Replicate, by_test_set
from transfer.compare.rows import Row, mean_scores
from transfer.tracking.run_record import RunRecord

_POOL = {"data.digest": "all", "data.pool_digest": "all", "data.validation_fraction": "0.1"}


def _fold(model: str, fold: int, accuracy: float, **params: str) -> RunRecord:
    images = {"data.test_digest": f"fold{fold}", "data.test_images": "60"}
    folds = {"data.fold": f"{fold}", "data.folds": "5", "data.train_images": "216"}
    return make_run(model, 0, 0, accuracy, **_POOL, **images, **folds, **params)


def test_folds_are_one_part_and_one_row_with_a_corrected_test() -> None:
    good = [0.80, 0.82, 0.79, 0.81, 0.83]
    runs = [_fold("a", fold, each) for fold, each in enumerate(good)]
    runs += [_fold("b", fold, each - 0.1 + 0.01 * (fold % 2)) for fold, each in enumerate(good)]
    [part] = by_test_set(runs)
    rows = make_rows(part)
    assert [len(row.runs) for row in rows] == [5, 5]
    assert rows[0].replicates == [Replicate(0, 0, fold) for fold in range(5)]
    comparison = Comparison(rows)
    pair = comparison.pair(0, 1)
    assert pair.recipe.kind == "better" and pair.network.kind == "unknown"
    differences = np.array([0.1, 0.09, 0.1, 0.09, 0.1])
    # Student's with 1 / 5 + 60 / 216 in the place of 1 / 5.
    error = np.sqrt(differences.var(ddof=1) * (1 / 5 + 60 / 216))
    low = differences.mean() - 2.776445 * error
    assert pair.difference.low == pytest.approx(low, rel=1e-3)
    assert rows[0].accuracy.over == "both"


def test_a_row_that_lacks_the_hard_fold_does_not_come_first_for_that() -> None:
    scores = {"a": [0.92, 0.87, 0.52], "b": [0.90, 0.85], "c": [0.91, 0.86, 0.51]}
    runs = [_fold(model, fold, s) for model in scores for fold, s in enumerate(scores[model])]
    comparison = Comparison(make_rows(runs))
    assert [row.label for row in comparison.rows] == ["a", "c", "b"]
    assert comparison.lacking == [[], [], [Replicate(0, 0, 2)]]
    assert comparison.decision is not None and comparison.decision.favourite == 0
    # By two points in each fold that both have, at what is common to all three.
    found = mean_scores(comparison.rows, "test/acc")
    assert found[0] - found == pytest.approx([0, 0.01, 0.02])
    # Trainings that others did not repeat are no easier: seeds count as they are.
    runs = [make_run("a", 0, s, 0.9 - 0.1 * s) for s in range(3)] + [make_run("b", 0, 1, 0.85)]
    assert [row.label for row in make_rows(runs)] == ["b", "a"]
    assert Comparison(make_rows(runs)).lacking[0] == [Replicate(0, 0, -1), Replicate(2, 0, -1)]


def _folded(accuracies: dict[str, list[float]], images: int) -> list[Row]:
    """Rows of folds that are right on so many of their images, the first ones of them."""
    runs, answers = [], {}
    for model, own in accuracies.items():
        for fold, accuracy in enumerate(own):
            run = _fold(model, fold, accuracy)
            runs.append(run)
            answers[run.id] = make_predictions(np.arange(images) < round(images * accuracy))
    return make_rows(runs, predictions=answers)


def test_folds_that_came_out_alike_leave_the_luck_of_their_images() -> None:
    rows = _folded({"a": [0.9, 0.9], "b": [0.8, 0.8]}, images=50)
    pair = Comparison(rows).pair(0, 1)
    # On 5 of 50 images in either fold they differ: the variance is 0.1 * 0.9 / 98.
    half = 1.959964 * np.sqrt(0.09 / 98)
    assert pair.difference.high - pair.difference.estimate == pytest.approx(half, rel=1e-3)
    assert 0.0005 < pair.recipe.p_value < 0.002
    assert 0.8 < rows[0].accuracy.low < 0.85 and 0.93 < rows[0].accuracy.high < 0.96
    # Of as many images, agreement says little.
    pair = Comparison(_folded({"a": [0.9, 0.8], "b": [0.9, 0.8]}, images=30)).pair(0, 1)
    assert pair.recipe.kind == "undecided"


def test_a_difference_of_shares_is_no_more_than_1() -> None:
    found = Comparison(_folded({"a": [0.1, 0.9], "b": [0.8, 0.2]}, images=30)).pair(0, 1)
    assert (found.difference.low, found.difference.high) == (-1, 1)


def test_splits_of_one_pool_are_one_row_by_whatever_they_are_named() -> None:
    runs = [
        make_run("a", 0, 0, 0.8, **_POOL, **{"data.seed": seed, "data.test_digest": seed})
        for seed in ("0", "1", "2")
    ]
    assert len({run.tags["transfer.configuration"] for run in runs}) == 3
    [row] = make_rows(runs)
    assert row.replicates == [Replicate(0, seed, -1) for seed in range(3)]
    assert [len(part) for part in by_test_set(runs)] == [3]
    # Another recipe that no parameter shows, of an earlier version say, keeps a row of its own.
    again = dataclasses.replace(runs[0], tags={"transfer.configuration": "older"})
    assert sorted(len(row.runs) for row in make_rows([*runs, again])) == [1, 3]


def test_recipes_that_no_parameter_tells_apart_have_names_of_their_own() -> None:
    def split(seed: int, version: str) -> RunRecord:
        drawn = {"data.seed": f"{seed}", "data.test_digest": f"{seed}"}
        run = make_run("a", 0, 0, 0.8, **_POOL, **drawn)
        return dataclasses.replace(run, tags={"transfer.configuration": f"{version} {seed}"})

    earlier, later = [split(0, "old"), split(1, "old")], [split(each, "new") for each in range(3)]
    rows = make_rows([*earlier, *later])
    # The third split is not taken for one of the earlier recipe.
    assert {row.label: len(row.runs) for row in rows} == {"a": 2, "a (2)": 3}


def test_what_overlapping_training_sets_add() -> None:
    folds = [_fold("a", fold, 0.8) for fold in range(2)]
    assert overlap_of(folds, shared=False) == pytest.approx(60 / 216)
    without = [
        dataclasses.replace(
            run, params={k: v for k, v in run.params.items() if k != "data.train_images"}
        )
        for run in folds
    ]
    assert overlap_of(without, shared=False) == pytest.approx(0.2 / (0.8 * 0.9))
    # Of all images a few a class: these overlap no more than all would.
    few = _fold("a", 0, 0.8)
    few.params["data.train_images"] = "20"
    assert overlap_of([few], shared=False) == pytest.approx(60 / 216)
    splits = [make_run("a", 0, 0, 0.8, **_POOL, **{"data.seed": seed}) for seed in "01"]
    assert overlap_of(splits, shared=True) == pytest.approx(1 / 9)
    assert overlap_of(splits[:1], shared=True) == 0


def test_runs_of_other_test_images_are_kept_apart() -> None:
    sets = {"data.test_digest": "1"}, {"data.test_digest": "2"}, {"data.seed": "0"}
    runs = [
        dataclasses.replace(run, params=run.params | params)
        for params in (*sets, {"data.seed": "1"})
        for run in RUNS
    ]
    groups = by_test_set(runs)
    assert [len(group) for group in groups] == [3, 3, 3, 3]
    # The failed run is in none of them.
    assert {run.status for group in groups for run in group} == {"FINISHED"}
    # One set of images with a test set of its own: the splits of the rest differ.
    own = {"data.pool_digest": "null", "data.digest": "x"}
    others = [
        make_run("a", 0, 0, 0.5, **own, **{"data.seed": seed, "data.test_digest": f"of {seed}"})
        for seed in "01"
    ]
    assert [len(group) for group in by_test_set(others)] == [1, 1]


def test_runs_of_before_a_digest_was_kept_belong_to_the_part_of_their_images() -> None:
    drawn = {"data.digest": "x", "data.seed": "0", "data.test_fraction": "0.2"}
    old, new = make_run("a", 0, 0, 0.5, **drawn), make_run("b", 0, 0, 0.5, **drawn)
    new.params.update({"data.test_digest": "y", "data.pool_digest": "x", "data.fold": "null"})
    assert [len(group) for group in by_test_set([old, new])] == [2]


def test_runs_of_before_a_digest_was_kept_are_compared_with_those_of_after() -> None:
    drawn = {"data.digest": "x", "data.seed": "0", "data.test_fraction": "0.2"}
    runs = [make_run(model, 0, seed, 0.8, **drawn) for model in "ab" for seed in range(3)]
    answers = {run.id: make_predictions(np.arange(500) < 400) for run in runs}
    for run in runs[3:]:
        run.params["data.test_digest"] = "y"
    pair = Comparison(make_rows(runs, predictions=answers)).pair(0, 1)
    assert pair.replicates == 3
    assert (pair.recipe.kind, pair.network.kind) == ("equivalent", "equivalent")
    # Labels that differ are of other images.
    other = make_predictions(np.arange(500) < 400, classes=5)
    elsewhere = answers | {run.id: other for run in runs[3:]}
    pair = Comparison(make_rows(runs, predictions=elsewhere)).pair(0, 1)
    assert (pair.recipe.kind, pair.network.kind) == ("unknown", "unknown")


def test_old_runs_differ_from_new_ones_by_what_they_did_alone() -> None:
    old = {"optimizer.name": "adam", "data.augment.flip": "True"}
    new = {
        "optimizer.name": "adam",
        "augment.name": "crop_flip",
        "augment.flip": "True",
        "augment.mixup": "0.0",
        "tune": "all",
        "select_by": "acc",
        "batchnorm_momentum": "fitted",
        "optimizer.layer_decay": "1.0",
        "optimizer.betas": "[0.9, 0.999]",
        "data.fold": "null",
    }
    [row, other] = make_rows([make_run("a", 0, 0, 0.5, **each) for each in (old, new)])
    assert {row.keys["batchnorm_momentum"], other.keys["batchnorm_momentum"]} == {
        "fitted",
        "published",
    }
    assert set(row.keys) == {"model", "batchnorm_momentum"}


def test_two_folders_on_one_test_set_are_two_rows_that_say_which_is_which() -> None:
    folders = {"raw": "1", "cleaned": "2"}
    runs = [
        make_run("a", 0, seed, 0.5, **{"data.train_folder": folder, "data.digest": digest})
        for folder, digest in folders.items()
        for seed in range(2)
    ]
    for run in runs:
        run.params["data.test_digest"] = "same"
    [part] = by_test_set(runs)
    rows = make_rows(part)
    assert {row.keys["data.train_folder"] for row in rows} == set(folders)
    assert len({row.label for row in rows}) == 2
    # Another name of the same images is no choice.
    for run in runs:
        run.params["data.digest"] = "1"
        run.tags["transfer.configuration"] = "one"
    [row] = make_rows(runs)
    assert row.keys == {"model": "a"}


def test_seeds_within_splits_are_averaged() -> None:
    runs, answers = [], {}
    for model, lead in (("a", 0.1), ("b", 0.0)):
        for split in range(3):
            for seed in range(2):
                accuracy = 0.7 + lead + 0.01 * split * (seed - 0.5)
                params = {"data.seed": f"{split}", "data.test_digest": "same"}
                run = make_run(model, 0, seed, accuracy, **params)
                runs.append(run)
                answers[run.id] = make_predictions(np.arange(1000) < 1000 * accuracy)
    pair = Comparison(make_rows(runs, predictions=answers)).pair(0, 1)
    # Their means are the same in every split: nothing scatters but the images.
    assert pair.replicates == 6 and pair.recipe.kind == "better"
    assert pair.difference.estimate == pytest.approx(0.1)
