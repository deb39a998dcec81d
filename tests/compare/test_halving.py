"""What is dropped at a rung: only what is worse, at the stated risk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.compare.runs import make_predictions, make_run
from transfer.compare.criterion import CRITERIA
from transfer.compare.halving import (
    Fall,
    Rule,
    find_losers,
    places,
    points_behind,
    where_it_leads,
)
from transfer.tracking.artifacts import Predictions
from transfer.tracking.run_record import RunRecord
from transfer.tracking.standing import Standing

IMAGES = 300
_TAG = "transfer.configuration"
Standings = list[tuple[RunRecord, Standing]]


def _rule(configurations: int, keep: str = "paired", rungs: int = 3, risk: float = 0.05) -> Rule:
    return Rule(keep, 3, risk, configurations, rungs)


def _standing(score: float | np.floating[Any], answers: Predictions) -> Standing:
    """After a single epoch."""
    return Standing(float(score), answers, np.array([float(score)]))


def _standings(right: dict[tuple[str, int], NDArray[np.bool_]]) -> Standings:
    """Give runs, named by model and seed, answers that are right on these images."""
    found = []
    for (model, seed), answers in right.items():
        run = make_run(model, 0, seed, 0.0)
        found.append((run, _standing(answers.mean(), make_predictions(answers))))
    return found


def _draw(
    random: np.random.Generator,
    accuracies: dict[str, float],
    seeds: int,
    scatter: float = 0.0,
) -> Standings:
    """Networks that find the same images hard; `scatter` is what a seed does to an accuracy."""
    hard = random.random(IMAGES)
    right = {}
    for model, accuracy in accuracies.items():
        for seed in range(seeds):
            own = accuracy + scatter * random.standard_normal()
            doubt = 0.5 * hard + 0.5 * random.random(IMAGES)
            # The sum of two uniform numbers is triangular: its quantile of `own`.
            bound = np.sqrt(own / 2) if own < 0.5 else 1 - np.sqrt((1 - own) / 2)
            right[model, seed] = doubt < bound
    return _standings(right)


@pytest.mark.parametrize(("seeds", "scatter"), [(1, 0.0), (3, 0.02)])
def test_among_equals_something_is_dropped_no_more_often_than_the_risk_says(
    seeds: int, scatter: float
) -> None:
    """One rung with a third of the risk: 200 sweeps of six equal configurations."""
    random = np.random.default_rng(0)
    equal = dict.fromkeys("abcdef", 0.8)
    rule = _rule(len(equal), risk=0.3)
    dropped = sum(bool(find_losers(_draw(random, equal, seeds, scatter), rule)) for _ in range(200))
    # 20 are expected at most; 29 would be more than 2 in 100 such tests have by chance.
    assert dropped < 29


def test_what_is_far_behind_is_dropped_and_what_is_near_is_kept() -> None:
    random = np.random.default_rng(1)
    accuracies = {"a": 0.9, "b": 0.89, "c": 0.6, "d": 0.5}
    for seeds in (1, 3):
        found = find_losers(_draw(random, accuracies, seeds, 0.01), _rule(4))
        assert set(found) == {"c0", "d0"}
        assert {fall.best for fall in found.values()} <= {"a0", "b0"}
        assert 0.2 < found["c0"].behind < found["d0"].behind < 0.5


def test_what_is_surely_behind_but_catching_up_is_kept() -> None:
    (first, ahead), (second, behind) = _draw(np.random.default_rng(1), {"a": 0.9, "b": 0.6}, 1)
    rule = replace(_rule(2), epochs=40)
    for early, dropped in ((0.58, {"b0"}), (0.1, set())):
        curves = np.array([0.88, 0.89, 0.9, 0.9]), np.array([early, early, 0.4, 0.6])
        pairs = zip((first, second), (ahead, behind), curves, strict=True)
        found = [(run, replace(own, curve=curve)) for run, own, curve in pairs]
        assert set(find_losers(found, rule)) == dropped


def test_splits_of_a_configuration_are_judged_together() -> None:
    """Each split has validation images of its own."""
    random = np.random.default_rng(4)
    found: Standings = []
    for split in range(3):
        hard = random.random(IMAGES)
        for model, accuracy in {"a": 0.9, "b": 0.89, "c": 0.6}.items():
            right = 0.5 * hard + 0.5 * random.random(IMAGES) < accuracy * 0.8
            run = make_run(model, 0, 0, 0.0, **{"data.seed": str(split)})
            found.append((run, _standing(right.mean(), make_predictions(right))))
    order = places(found, _rule(3))
    assert [each.name for each in order][2] == "c0-0" and order[0].behind == 0
    assert [len(each.runs) for each in order] == [3, 3, 3]
    assert set(find_losers(found, _rule(3))) == {"c0-0"}


def test_a_share_keeps_its_number_and_never_drops_the_best() -> None:
    random = np.random.default_rng(2)
    accuracies = {name: 0.5 + 0.05 * place for place, name in enumerate("abcdefg")}
    found = find_losers(_draw(random, accuracies, 3), _rule(7, "share"))
    assert len(found) == 4 and "g0" not in found
    one = find_losers(_draw(random, {"a": 0.5}, 3), _rule(1, "share"))
    assert one == {}


def test_a_forecast_keeps_as_large_a_share_of_each_model_by_where_the_curves_lead() -> None:
    """What starts low and rises is not compared with what starts high."""
    curves = {
        ("slow", "a"): [0.2, 0.3, 0.4, 0.48],
        ("slow", "b"): [0.3, 0.38, 0.42, 0.46],
        ("slow", "c"): [0.3, 0.3, 0.31, 0.31],
        ("quick", "a"): [0.6, 0.62, 0.64, 0.65],
        ("quick", "b"): [0.5, 0.55, 0.6, 0.64],
        ("quick", "c"): [0.66, 0.66, 0.66, 0.65],
    }
    standings = []
    for (model, rate), curve in curves.items():
        run = make_run(model, 0, 0, 0.0, rate=rate)
        run = replace(run, id=f"{model}{rate}", tags=run.tags | {_TAG: f"{model} {rate}"})
        answers = make_predictions(np.ones(IMAGES, dtype=np.bool_))
        standings.append((run, Standing(max(curve), answers, np.array(curve))))
    rule = replace(_rule(6, "forecast"), epochs=12)
    found = find_losers(standings, rule)
    assert set(found) == {"slow b", "slow c", "quick a", "quick c"}
    assert found["slow b"].best == "slow a" and found["quick c"].best == "quick b"
    assert 0.46 < found["slow b"].leads_to < 0.55 and found["quick c"].leads_to == 0.66
    assert where_it_leads(found["quick c"], CRITERIA["acc"]) == "66.0 %"
    # Those that go on come first; how far behind is by the best so far.
    order = places(standings, rule)
    assert [each.name for each in order[:2]] == ["quick b", "slow a"]
    assert order[0].behind == pytest.approx(0.02)
    # Of a model of its own each has the first turn: then they are compared with each other.
    alone = [(replace(run, params=run.params | {"weights": run.id}), own) for run, own in standings]
    assert set(find_losers(alone, rule)) == {"slow a", "slow b", "slow c", "quick c"}
    assert find_losers(standings[:2], rule) == {}, "a verdict is between two"


def test_replicates_are_judged_together_over_those_that_both_have() -> None:
    """The lucky seed of a bad configuration does not save it, and a failed one does not spoil a
    good one."""
    random = np.random.default_rng(3)
    standings = _draw(random, {"good": 0.9, "bad": 0.5}, 4)
    lucky = np.ones(IMAGES, dtype=np.bool_)
    standings = [
        (run, _standing(1.0, make_predictions(lucky))) if run.name == "bad-freeze0-seed0" else each
        for each in standings
        for run in [each[0]]
    ]
    kept = [each for each in standings if each[0].name != "good-freeze0-seed0"]
    assert set(find_losers(kept, _rule(2))) == {"bad0"}
    # One against several is no pair.
    alone = [each for each in standings if each[0].name in ("bad-freeze0-seed1",)]
    good = [each for each in standings if each[0].params["model.name"] == "good"]
    assert find_losers([*good, *alone], _rule(2)) == {}


def test_by_the_loss_less_is_better() -> None:
    random = np.random.default_rng(4)
    standings = []
    for model, level in {"a": 1.0, "b": 0.2}.items():
        run = make_run(model, 0, 0, 0.0, select_by="loss")
        loss = (level + 0.1 * random.random(IMAGES)).astype(np.float32)
        answers = replace(make_predictions(np.ones(IMAGES, dtype=np.bool_)), loss=loss)
        standings.append((run, _standing(-loss.mean(), answers)))
    [(name, fall)] = find_losers(standings, _rule(2)).items()
    assert name.startswith("a") and fall.behind == pytest.approx(0.8, abs=0.02)
    assert points_behind(fall, CRITERIA["loss"]).endswith(" nats")
    assert points_behind(Fall("a", 0.061), CRITERIA["acc"]) == "6.1 points"


def test_more_comparisons_and_more_looks_ask_for_more_evidence() -> None:
    assert _rule(2, rungs=1).level == 0.05
    assert _rule(4, rungs=3).level == pytest.approx(0.05 / 18)
    assert _rule(1).level == pytest.approx(0.05)


def test_the_same_files_in_other_sizes_are_the_same_images() -> None:
    standings = _draw(np.random.default_rng(5), {"a": 0.9, "b": 0.5}, 1)
    for files, dropped in ((("f", "f"), 1), (("f", "g"), 0)):
        sized = [
            (
                replace(run, params=run.params | {"data.digest": size, "data.files_digest": name}),
                own,
            )
            for (run, own), size, name in zip(standings, ("32 px", "64 px"), files, strict=True)
        ]
        assert len(find_losers(sized, _rule(2))) == dropped
