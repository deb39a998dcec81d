"""Sentences say what the numbers say, and nothing where there is nothing to say."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.compare.runs import make_history, make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.screened import Agreement
from transfer.report.document import to_markdown
from transfer.report.findings import findings
from transfer.report.frame import rows_frame
from transfer.report.language import LANGUAGES, Words
from transfer.report.sections import Part, build_document
from transfer.tracking.artifacts import NO_HISTORY, History, Predictions
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import Selection

WORDS = Words()


def _findings(
    runs: list[RunRecord],
    histories: dict[str, History] | None = None,
    predictions: dict[str, Predictions] | None = None,
) -> str:
    rows = make_rows(runs, histories, predictions)
    return "\n".join(findings(Comparison(rows), WORDS))


def test_a_row_that_lacks_a_fold_is_named() -> None:
    runs = []
    for model, folds in (("a", 3), ("b", 2)):
        for fold in range(folds):
            images = {"data.fold": f"{fold}", "data.folds": "3", "data.pool_digest": "all"}
            run = make_run(model, 0, 0, 0.9 - 0.2 * fold, **images)
            runs.append(replace(run, tags={"transfer.configuration": model}))
    assert "`b` lacks `data.fold=2`, which most others have" in _findings(runs)
    assert "lacks" not in _findings([run for run in runs if run.params["data.fold"] != "2"])


def test_what_freezing_changed() -> None:
    runs = [make_run("a", freeze, 0, accuracy) for freeze, accuracy in ((0, 0.6), (5, 0.7))]
    answers = {
        "a-0-0": make_predictions([True] * 60 + [False] * 40),
        "a-5-0": make_predictions([True] * 70 + [False] * 30),
    }
    text = _findings(runs, predictions=answers)
    # One seed each says nothing of the recipes.
    assert "- `a`, freeze_epochs 5 against 0: +10.00 points" in f"- {text}"
    assert "the better network." in text and "recipe" not in text


def test_what_tuning_less_changed() -> None:
    runs = [
        make_run("a", 5, 0, accuracy, tune=tune) for tune, accuracy in (("head", 0.6), ("all", 0.7))
    ]
    text = _findings(runs)
    assert "`a`, tune all against head: +10.00 points, not known whether better or worse." in text


def test_training_below_validation_and_overfitting() -> None:
    runs = [make_run("a", 0, 0, 0.5), make_run("b", 0, 0, 0.4)]
    histories = {
        "a-0-0": make_history([0.1, 0.3, 0.6], [0.2, 0.4, 0.5]),
        "b-0-0": make_history([0.3, 0.4, 0.41], [0.2, 0.3, 0.4]),
    }
    text = _findings(runs, histories=histories)
    assert "In 1 of 2 configurations, training accuracy lies below validation" in text
    assert "for a while, in `a` (2 of 3 epochs)" in text
    assert "1 of 2 configurations overfits by more than 2 points, that is `a`: 10.00" in text
    close = {name: make_history([0.3, 0.41], [0.2, 0.4]) for name in ("a-0-0", "b-0-0")}
    assert "No configuration is seen to overfit" in _findings(runs, histories=close)


def _measured(accuracy: float, seen: float) -> RunRecord:
    """A run whose tested weights, of epoch 2, were evaluated on training images too."""
    run = make_run("a", 0, 0, accuracy)
    run.metrics.update({"best/epoch": 2, "best/train_acc": seen})
    return run


def test_lagging_statistics_are_no_overfitting() -> None:
    # 95 % while it trained, and as bad on the same images as on others once it is evaluated.
    histories = {"a-0-0": make_history([0.8, 0.95, 0.97], [0.2, 0.3, 0.1])}
    lagging = _findings([_measured(0.3, 0.31)], histories)
    assert "1 of 1 configuration knows its training images less well in evaluation" in lagging
    assert "in training: `a`, by 64.00 points. That is no overfitting" in lagging
    assert "batchnorm_momentum=fitted" in lagging
    assert "No configuration is seen to overfit" in lagging
    # The same curves, and it does know the images that it was trained on.
    overfitting = _findings([_measured(0.3, 0.96)], histories)
    assert "know their training images" not in overfitting
    assert "1 of 1 configuration overfits by more than 2 points" in overfitting
    assert "`a`: 66.00 points better on training" in overfitting


_ACCURACIES = st.one_of(st.floats(0, 1), st.just(0.5), st.just(math.nan))
_SHAPES = st.lists(st.lists(_ACCURACIES, min_size=1, max_size=4), min_size=0, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    shape=_SHAPES,
    images=st.integers(0, 6),
    steered=st.integers(0, 4),
    language=st.sampled_from(sorted(LANGUAGES)),
)
def test_odd_shapes_make_a_report(
    shape: list[list[float]], images: int, steered: int, language: str
) -> None:
    """One run, one seed, equal scores, NaN, no curves or predictions, a class without images, and
    of none, some or all rows a training that the test set steered."""
    by = {True: {"protocol.validation": "test"}, False: {"protocol.validation": "held_out"}}
    runs = [
        make_run(f"m{model}", model % 2, seed, accuracy, **by[model < steered])
        for model, accuracies in enumerate(shape)
        for seed, accuracy in enumerate(accuracies)
    ]
    random = np.random.default_rng(len(runs))
    answers = {
        # Three classes, of which the last ones have no image among so few.
        run.id: make_predictions(random.random(images) < 0.5, classes=3)
        for run in itertools.islice(runs, 0, None, 2)
        if images
    }
    histories = {run.id: NO_HISTORY for run in itertools.islice(runs, 0, None, 3)}
    rows = make_rows(runs, histories, answers)
    comparison, words = Comparison(rows), Words(language)
    parts = [Part(comparison, [])] if rows else []
    text = to_markdown(build_document(parts, Selection(runs, []), words))
    assert "nan" not in text
    frame = rows_frame([comparison] if rows else [])
    assert len(frame) == len(shape)
    assert len({row.label for row in rows}) == len(rows)
    assert len(comparison.rows) == max(len(shape) - steered, 0)
    assert (("Not ranked" in text) or ("不参与排名" in text)) == bool(shape and steered)
    _check_ranks(comparison)


def _check_ranks(comparison: Comparison) -> None:
    """A rank is one more than the number of rows that are better by the verdicts it is about."""
    better = [0] * len(comparison.rows)
    for first, second in itertools.combinations(range(len(better)), 2):
        pair = comparison.pair(first, second)
        verdict = pair.network if comparison.ranked_by == "network" else pair.recipe
        if verdict.kind in ("better", "worse"):
            assert verdict.corrected >= verdict.p_value
            better[second if verdict.kind == "better" else first] += 1
    for rank, count in zip(comparison.ranks, better, strict=True):
        assert rank in (None, 1 + count)


def test_how_far_a_screen_agreed_is_told_with_the_orders_to_beat() -> None:
    comparison = Comparison(make_rows([make_run("a", 0, 0, 0.6)]))
    found = Agreement(5, 0.8, -0.2, math.nan, 2, 2, dropped_winner=False)
    text = findings(comparison, WORDS, found)[-1]
    assert "over 5 candidates: +0.80; the order by size has −0.20." in text
    assert "ImageNet" not in text and "2 of them, would have kept the winner" in text
    lost = replace(found, tau_of_imagenet=1 / 3, known_on_imagenet=3, dropped_winner=True)
    text = findings(comparison, WORDS, lost)[-1]
    assert "accuracy +0.33 over 3 of them. Dropping" in text and "have lost the winner" in text
    none = replace(found, tau=math.nan, dropped=0)
    assert "candidates: unknown;" in findings(comparison, WORDS, none)[-1]
    assert "called none of them hopeless" in findings(comparison, WORDS, none)[-1]
    assert "+0.80" in findings(comparison, Words("zh"), found)[-1]


def test_ties_are_no_findings() -> None:
    runs = [make_run(model, 0, seed, 0.5) for model in ("b", "c") for seed in range(3)]
    answers = {run.id: make_predictions([True, False] * 20) for run in runs}
    # Equal arithmetic, equal scatter.
    assert "Steadiest" not in _findings(runs, predictions=answers)


def test_what_else_differs_is_told() -> None:
    runs = [
        make_run("a", freeze, 0, 0.5, **{"optimizer.lr": rate})
        for freeze, rate in ((0, "1"), (5, "2"))
    ]
    assert "; they differ in `optimizer.lr` as well." in _findings(runs)
    assert "they differ in" not in _findings([make_run("a", freeze, 0, 0.5) for freeze in (0, 5)])


def test_an_unbalanced_test_set_is_told() -> None:
    names = ["rare", "common"]
    labels = np.repeat(np.array([0, 1], dtype=np.int16), [20, 80])
    confidence = np.full(100, 0.75, dtype=np.float32)
    # One answers the common class always; the other knows the rare one and half of the common.
    guess = Predictions(labels, np.ones_like(labels), confidence, names)
    half = np.where(np.arange(100) % 2 == 0, labels, 1 - labels).astype(np.int16)
    better = Predictions(labels, half, confidence, names)
    runs = [make_run("a", 0, 0, 0.8), make_run("b", 0, 0, 0.5)]
    rare = replace(better, predicted=np.where(labels == 0, 0, half).astype(np.int16))
    text = _findings(runs, predictions={runs[0].id: guess, runs[1].id: rare})
    assert "always to answer common would score 80.00 %" in text
    assert "the best is `b` with 75.00 %" in text
    even = {run.id: make_predictions([True, False] * 20) for run in runs}
    assert "unbalanced" not in _findings(runs, predictions=even)


def test_why_training_lies_below_validation_follows_the_augmentation() -> None:
    plain = make_run("a", 0, 0, 0.5)
    augmented = make_run("a", 0, 0, 0.5, **{"augment.flip": "True"})
    assert "(1 of 2 epochs): training images are counted while" in _findings([plain])
    assert "(1 of 2 epochs): only training images are augmented" in _findings([augmented])
