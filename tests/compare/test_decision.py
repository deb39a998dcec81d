"""What to take, how sure that is, and what would make it surer."""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np
import pytest

from tests.compare.runs import make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.decision import Decision
from transfer.compare.posterior import draw_scores
from transfer.compare.replication import assumed_draw, more_draws
from transfer.tracking.artifacts import NO_HISTORY


def _decide(
    shares: list[float], seeds: int, images: int = 2000, validation: list[float] | None = None
) -> Decision:
    random = np.random.default_rng(0)
    easy, runs, answers = random.random(images), [], {}
    for recipe, share in enumerate(shares):
        for seed in range(seeds):
            # Most images are easy or hard for all.
            right = np.where(random.random(images) < 0.8, easy, random.random(images)) < share
            run = make_run(f"m{recipe}", 0, seed, float(right.mean()))
            run.metrics["best/val_acc"] = (validation or shares)[recipe]
            run.metrics["profile/macs"] = 1e6 * (1 + recipe)
            runs.append(run)
            answers[run.id] = make_predictions(right)
    decision = Comparison(make_rows(runs, dict.fromkeys(answers, NO_HISTORY), answers)).decision
    assert decision is not None
    return decision


def test_a_clear_winner_is_sure_and_needs_nothing_more() -> None:
    decision = _decide([0.9, 0.7, 0.5], seeds=3)
    assert (decision.chosen, decision.favourite, decision.about) == (0, 0, "recipe")
    assert decision.probability_best[0] > 0.99
    assert decision.expected_loss.high < 0.001
    assert (decision.more_replicates, decision.more_seconds, decision.assumed) == (0, 0.0, False)
    assert decision.needs == "nothing" and decision.more_of == (0, 0)
    assert decision.verdict is not None and decision.verdict.kind == "better"
    # m0 is the cheapest as well: nothing else is smaller.
    assert decision.small is None


def test_a_small_device_gets_no_row_that_is_far_behind() -> None:
    # By MACs m0 is the cheapest, and validation chose m2.
    assert _decide([0.3, 0.82, 0.9], seeds=2).small == 1
    assert _decide([0.3, 0.7, 0.9], seeds=2).small == 0


def test_equals_share_the_chance_and_little_is_lost_by_either() -> None:
    decision = _decide([0.8, 0.8, 0.8, 0.8], seeds=3)
    assert sum(decision.probability_best) == pytest.approx(1)
    assert max(decision.probability_best) < 0.8
    assert 0 < decision.expected_loss.estimate < 0.02
    assert decision.rival is not None
    assert decision.probability_best[decision.rival] == max(decision.probability_best[1:])


@pytest.mark.parametrize("measure", ["acc", "loss"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_what_answers_alike_has_the_same_chance(seeds: int, measure: str) -> None:
    runs, answers = [], {}
    for model in "bcd":
        for seed in range(seeds):
            run = make_run(model, 0, seed, 1.0, select_by=measure)
            run.metrics.update({"test/loss": 0.1, "best/val_loss": 0.1})
            loss = np.full(30, 0.1, dtype=np.float32)
            answers[run.id] = dataclasses.replace(make_predictions(np.ones(30, bool)), loss=loss)
            runs.append(run)
    decision = Comparison(make_rows(runs, predictions=answers)).decision
    assert decision is not None
    assert decision.probability_best == pytest.approx([1 / 3] * 3, abs=0.05)


def test_the_tests_favourite_is_named_beside_what_validation_chose() -> None:
    decision = _decide([0.7, 0.9], seeds=2, validation=[0.95, 0.6])
    assert (decision.chosen, decision.favourite) == (0, 1)
    assert decision.probability_best[1] > 0.9
    assert decision.expected_loss.estimate == pytest.approx(0.2, abs=0.05)
    # Nothing is needed to know that validation misled.
    assert decision.needs == "nothing"
    assert decision.verdict is not None and decision.verdict.kind == "worse"


def test_one_seed_says_how_many_would_decide_from_recorded_scatter() -> None:
    decision = _decide([0.82, 0.78], seeds=1, images=10_000)
    assert decision.about == "network" and decision.assumed
    assert decision.more_replicates is not None and 1 <= decision.more_replicates <= 5
    # Two rows, two seconds a training.
    assert decision.more_seconds == 4 * decision.more_replicates


def _lacking(replicates: dict[str, list[int]], key: str, **params: str) -> Decision:
    """Decide between two recipes that differ by little, each trained with these values of a key."""
    random, runs, answers = np.random.default_rng(1), [], {}
    easy = random.random(2000)
    for model, values in replicates.items():
        for value in values:
            share = (0.83 if model == "b" else 0.80) + random.normal(0, 0.01)
            right = np.where(random.random(2000) < 0.8, easy, random.random(2000)) < share
            own = {key: f"{value}"} if key != "seed" else {}
            if key == "data.fold":
                own["data.test_digest"] = f"of {value}"
            run = make_run(model, 0, value if key == "seed" else 0, right.mean(), **params, **own)
            run.metrics["best/val_acc"] = 0.9 if model == "b" else 0.8
            run.tags["transfer.configuration"] = model
            runs.append(run)
            answers[run.id] = make_predictions(right)
    decision = Comparison(make_rows(runs, predictions=answers)).decision
    assert decision is not None
    return decision


def test_a_seed_that_one_has_already_costs_the_other_alone() -> None:
    alike, unlike = (_lacking({"b": own, "c": [0, 1, 2]}, "seed") for own in ([0], [0, 1, 2]))
    assert alike.needs == "replicates" and alike.more_replicates is not None
    assert alike.more_of == (alike.more_replicates, max(alike.more_replicates - 2, 0))
    assert alike.more_seconds == 2.0 * sum(alike.more_of)
    assert unlike.needs != "replicates" or unlike.more_of[0] == unlike.more_of[1]


def test_where_the_folds_do_not_suffice_those_of_another_split_are_needed() -> None:
    pool = {"data.pool_digest": "P", "data.digest": "D"}
    two = {"b": [0, 1], "c": [0, 1]}
    of_ten, of_five = (
        _lacking(two, "data.fold", **pool, **{"data.folds": folds}) for folds in ("10", "5")
    )
    assert (of_ten.needs, of_ten.more_of) == ("replicates", (5, 5))
    # Three are left, and the folds of another split come all together.
    assert (of_five.needs, of_five.more_of) == ("splits", (8, 8))


def test_a_row_alone_is_the_best_one() -> None:
    decision = _decide([0.8], seeds=2)
    assert decision.probability_best == [1.0] and decision.rival is None
    assert decision.more_replicates is None and math.isnan(decision.more_seconds)


def test_where_the_choice_was_not_tested_nothing_is_sure() -> None:
    once = [make_run("a", 0, 0, 0.80), make_run("b", 0, 0, 0.79)]
    thrice = [make_run(model, 0, seed, 0.8 + 0.01 * seed) for model in "ab" for seed in range(3)]
    answers = {run.id: make_predictions(np.arange(50) < 40) for run in once}
    alone = make_run("c", 0, 0, 0.9)
    for runs, known in ((once, {}), (thrice, {}), ([alone, *once], answers)):
        decision = Comparison(make_rows(runs, predictions=known)).decision
        assert decision is not None and (decision.chosen, decision.rival) == (0, 1)
        assert all(math.isnan(each) for each in decision.probability_best)
        assert math.isnan(decision.expected_loss.estimate) and not decision.expected_loss.known
        # That 100 more would not do is something else.
        assert (decision.needs, decision.more_replicates) == ("unknown", None)


def test_more_replicates_help_until_images_are_all_that_is_left() -> None:
    bounds = {"level": 0.05, "within": 0.001, "freedom": 2.0}
    few = more_draws(0.02, 0.0001, 1e-6, 3, **bounds)
    many = more_draws(0.01, 0.0001, 1e-6, 3, **bounds)
    assert few is not None and many is not None and few < many
    # The standard error that images leave is as large as the difference.
    assert more_draws(0.01, 0.0001, 0.0001, 3, **bounds) is None
    # Near enough to be equivalent.
    assert more_draws(0.0, 1e-6, 1e-7, 3, level=0.05, within=0.01, freedom=2.0) == 1
    assert assumed_draw(0.0001, 0.0001, 0.0001, 2000) > 0.17 * 0.0002


def test_draws_shrink_the_more_the_less_is_known() -> None:
    means = np.array([0.02, 0.0, -0.01, -0.01])
    spread = []
    for variance in (1e-6, 1e-4, 1e-2):
        known = variance * 2 * (1 - np.eye(4))
        draws = draw_scores(means, np.zeros((4, 4)), 1.0, known)
        found = draws.mean(axis=0)
        spread.append(found[0] - found[-1])
    assert 0.029 < spread[0] < 0.031 and spread[0] > spread[1] > spread[2]
    # Few degrees of freedom widen what may be.
    known, estimated = np.zeros((4, 4)), 2e-4 * (1 - np.eye(4))
    few, many = (draw_scores(means, estimated, each, known).std(axis=0).mean() for each in (1, 50))
    assert few > many


def test_forty_rows_take_less_than_a_second() -> None:
    random = np.random.default_rng(0)
    variances = 2e-4 * (1 - np.eye(40))
    start = time.process_time()
    draws = draw_scores(random.normal(0, 0.01, 40), variances, 2.0, variances)
    assert time.process_time() - start < 1
    assert draws.shape == (20_000, 40)
