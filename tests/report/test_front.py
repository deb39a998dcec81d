"""The first thing that is read says what the comparison says, each question by itself."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.compare.runs import make_predictions, make_rows, make_run
from tests.report.sweeps import APART, CLOSE, compare
from transfer.compare.comparison import Comparison
from transfer.compare.criterion import CRITERIA
from transfer.compare.replication import Need
from transfer.report.columns import points
from transfer.report.findings import findings
from transfer.report.frame import rows_frame
from transfer.report.front import duration, front
from transfer.report.guessing import guessing_text, why_guessing
from transfer.report.language import LANGUAGES, Words
from transfer.report.tables import ranking_table
from transfer.report.verdicts import difference_text, verdict_phrase

WORDS = Words()


def _front(comparison: Comparison) -> str:
    return "\n".join(front(comparison, WORDS).lines)


def test_what_to_take_and_what_for_a_small_device() -> None:
    comparison = compare(APART)
    text = _front(comparison)
    accuracy = 100 * comparison.rows[0].accuracy.estimate
    assert "**Take `b`**, of 2 configurations the best on validation" in text
    assert f"{accuracy:.2f} % test accuracy (95 % interval " in text
    assert (
        "**For a small device `a`**: 1 M multiply-accumulates an image, 20 % of the above" in text
    )
    assert "the worse recipe." in text
    assert "**What it costs**: 2 s of training, 5 M multiply-accumulates an image, 1.00 ms" in text
    assert "> 99 % that no other recipe of 2" in text and "favourite" not in text
    text = _front(compare({"a": 0.60, "b": 0.90}))
    assert "a small device the same**: nothing cheaper comes within 10 points of it." in text
    # Nothing is cheaper.
    assert "small device" not in _front(compare({"a": 0.90, "b": 0.60}))


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_at_chance_is_recommended(language: str) -> None:
    words = Words(language)
    comparison = compare({"a": 0.48, "b": 0.5})
    lines = front(comparison, words).lines
    chosen, other = comparison.rows
    assert len(lines) == 2 and f"`{chosen.label}`" in lines[0]
    assert "50.00" in lines[0] and "{" not in "".join(lines)
    assert lines[1].endswith(why_guessing(chosen, words))
    assert "2" in lines[0]
    # What guessing scores is an accuracy, whatever chose it.
    comparison.criterion = CRITERIA["loss"]
    assert front(comparison, words).lines == lines
    comparison.criterion = CRITERIA["acc"]
    [alone, _] = front(compare({"a": 0.48}), words).lines
    assert "`a`" in alone and alone.split("`")[0] != lines[0].split("`")[0]
    found = "\n".join(findings(comparison, words))
    for row in (chosen, other):
        assert guessing_text(row, words) in found
    # Nor for a small device, however near: `a` is the cheaper one.
    take, small, *_ = front(compare({"a": 0.53, "b": 0.61}), words).lines
    assert "`b`" in take and small == words("front.small_guessing", points=10)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("models", [APART, CLOSE, {"b": 0.5}])
def test_there_are_six_lines_at_most(models: dict[str, float], seeds: int, language: str) -> None:
    comparison = compare(models, seeds)
    lines = front(comparison, Words(language)).lines
    assert 2 <= len(lines) <= 6
    assert "nan" not in "".join(lines)


def test_one_seed_says_nothing_of_recipes() -> None:
    text = _front(compare(APART, seeds=1))
    assert "that no other network of these 2 does better" in text
    assert "Which recipe would win again is not known: one seed." in text
    assert "the worse network." in text
    assert re.search(
        r"surer\*\*: (1 more seed|\d more seeds) of it and of `a`, .* of training", text
    )


def test_a_difference_is_of_the_networks_that_the_verdict_is_about() -> None:
    # The networks to use are those of seeds 0 and 2; with seed 1, which both have, it was the
    # other way round.
    right = {("b", 0): 95, ("b", 1): 60, ("c", 1): 70, ("c", 2): 80}
    runs = [make_run(model, 0, seed, share / 100) for (model, seed), share in right.items()]
    answers = {
        run.id: make_predictions(np.arange(100) < share)
        for run, share in zip(runs, right.values(), strict=True)
    }
    comparison = Comparison(make_rows(runs, predictions=answers))
    assert [row.label for row in comparison.rows] == ["b", "c"]
    pair = comparison.pair(0, 1)
    assert pair.difference.estimate == pytest.approx(-0.1)
    text = difference_text(pair, comparison.criterion, WORDS)
    assert text.startswith("+15.00 points (+") and verdict_phrase(pair, WORDS).endswith(
        "the better network"
    )


def test_a_difference_of_nothing_has_no_minus() -> None:
    assert [points(value) for value in (-0.0, -0.00001, 0.0)] == ["+0.00"] * 3
    assert points(-0.0002) == "−0.02" and math.isnan(float(points(math.nan)))


def test_a_chance_says_among_how_many_where_these_are_not_all() -> None:
    lines = _front(compare({f"m{index:02}": 0.5 + index / 100 for index in range(41)}, images=50))
    assert "of 41 configurations the best" in lines
    assert "no other recipe of the 40 best on validation would do better" in lines


def test_where_seeds_would_not_help_more_test_images_would() -> None:
    text = _front(compare(CLOSE, seeds=2, images=100))
    assert "more test images; 100 more seeds would not tell it from `c`." in text


def test_why_nothing_more_is_needed_follows_the_verdict() -> None:
    better = _front(compare(APART))
    assert "surer**: nothing is needed; the nearest rival, `a`, is the worse recipe." in better
    equal = _front(compare(CLOSE, 5, 20_000, validation={"b": 0.9, "c": 0.8}))
    assert "nothing is needed; the nearest rival, `c`, is equivalent: either will do." in equal
    contradicted = {"models": {"b": 0.7, "c": 0.9}, "validation": {"b": 0.9, "c": 0.6}}
    text = _front(compare(**contradicted))  # type: ignore[arg-type]
    assert (
        "sure**: Validation and test contradict each other: on the test images `c` is the" in text
    )
    assert "is the better recipe. < 1 % that" in text
    assert "surer**: more validation images, which would tell" in text
    text = _front(compare(**contradicted, seeds=1))  # type: ignore[arg-type]
    assert "contradict each other: on the test images `c` is the better network. " in text


def test_where_no_answers_were_kept_nobody_knows_how_many_more() -> None:
    runs = [make_run(model, 0, seed, 0.7) for model in "bc" for seed in range(3)]
    comparison = Comparison(make_rows(runs))
    text = _front(comparison)
    assert "surer**: not known, for the runs did not keep how they answered each" in text
    assert "Which recipe would win again is not known: no answers were kept." in text
    assert "%" not in text.partition("How sure")[2].partition("What it costs")[0]
    line = ranking_table(comparison, WORDS).cells[1]
    assert list(line[5:7]) == ["not known: no answers were kept"] * 2


@pytest.mark.parametrize(
    ("needs", "more_of", "text"),
    [
        ("replicates", (2, 2), "2 more folds of it and of `c`, 8 s of training."),
        ("replicates", (1, 2), "1 more fold of it and 2 more folds of `c`, 6 s of training."),
        ("replicates", (3, 0), "3 more folds of it, 6 s of training."),
        ("replicates", (0, 1), "1 more fold of `c`, 2 s of training."),
        ("splits", (5, 5), "the images divided anew (another `data.seed`): 5 more folds of it and"),
        ("images", (0, 0), "more images; 100 more folds would not tell it from `c`."),
    ],
)
def test_what_would_make_it_surer_counts_what_each_lacks(
    needs: Need, more_of: tuple[int, int], text: str
) -> None:
    runs = []
    for model, accuracy in (("b", 0.9), ("c", 0.8)):
        for fold in range(2):
            folds = {"data.fold": f"{fold}", "data.folds": "5", "data.pool_digest": "all"}
            run = make_run(model, 0, 0, accuracy, **folds)
            runs.append(replace(run, tags={"transfer.configuration": model}))
    comparison = Comparison(make_rows(runs))
    assert comparison.decision is not None
    seconds = 2.0 * sum(more_of) if needs != "images" else math.nan
    decision = replace(
        comparison.decision, needs=needs, more_of=more_of, more_seconds=seconds, assumed=False
    )
    # However many the statistics find.
    comparison.__dict__["decision"] = decision
    assert f"surer**: {text}" in _front(comparison)


def test_the_test_images_favourite_is_named_as_such_and_not_taken() -> None:
    runs = [make_run(model, 0, seed, 0.7) for model in "bc" for seed in range(3)]
    for run in runs:
        chosen = run.params["model.name"] == "b"
        run.metrics.update(
            {
                "best/val_acc": 0.9 if chosen else 0.8,
                "test/acc": 0.7 + 0.1 * (not chosen),
            }
        )
    text = _front(Comparison(make_rows(runs)))
    assert "**Take `b`**" in text
    assert "**The test images' own favourite is `c`**, 80.00 % test accuracy" in text


def test_what_the_test_set_steered_is_not_taken() -> None:
    steered = [make_run("a", 0, 0, 0.9, **{"protocol.validation": "test"})]
    assert "**Nothing here can be chosen**" in _front(Comparison(make_rows(steered)))
    sound = make_run("b", 0, 0, 0.5, **{"protocol.validation": "held_out"})
    text = _front(Comparison(make_rows([*steered, sound])))
    assert "**Take `b" in text and "the only configuration with a rank" in text


def test_without_a_test_accuracy_nothing_is_taken() -> None:
    comparison = Comparison(make_rows([make_run("a", 0, 0, float("nan"))]))
    assert "the only configuration has no test accuracy" in _front(comparison)
    [line] = ranking_table(comparison, WORDS).cells
    assert line[0] == "–" and rows_frame([comparison])["rank"].isna().all()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (99, "99 s"), (700, "12 min"), (9000, "2 h")]
)
def test_times_are_said_as_one_says_them(seconds: float, text: str) -> None:
    assert duration(seconds, WORDS) == text
