"""From a folder and a budget to an answer: the plan that fits the time, and a sweep by it that is
really killed."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from tests.compare.runs import make_predictions, make_rows, make_run
from tests.conftest import Workplace, config_of
from transfer.evaluate.speed import Speed
from transfer.sweep.choose.choice import Choice
from transfer.sweep.choose.finalists import counts_of_finalists, is_decided
from transfer.sweep.choose.grid import (
    EPOCHS,
    Images,
    Room,
    fit_grid,
    frozen_epochs,
    passes,
    race_rungs,
    race_seconds,
    seconds,
)
from transfer.sweep.choose.screen_fit import fit_screen
from transfer.sweep.choose.tunings import Candidate, tunings
from transfer.sweep.choose.worth import SCATTER, Prospect, expected_best

IMAGES = Images(2000, 200, 500)
QUICK = Candidate("quick", ("model=quick",), True, Speed(1e-4, 4e-4, 2e-4))
SLOW = Candidate("slow", ("model=slow",), True, Speed(2e-2, 8e-2, 2e-3))
RAW = Candidate("raw", ("model=raw",), False, Speed(1e-4, 4e-4, 2e-4))
COMMAND = ("-m", "experiment=choose", "model=resnet18,mobilenet_v3_small", "epochs=4")
COMMAND += ("data.train_per_class=20", "hydra.sweeper.seeds=2")


def test_what_is_tried_of_a_candidate() -> None:
    tried = tunings(QUICK, "adamw", "photo")
    assert [each.kind for each in tried[:3]] == ["head", "all", "last:1"]
    assert len({each.overrides for each in tried}) == len(tried) == 10
    augmented = [each for each in tried if "augment=photo" in each.overrides]
    assert augmented and all(each.kind == "all" or each.views for each in augmented)
    assert len(tunings(QUICK, "sgd", None)) == 7
    # Random weights have no head to learn alone.
    assert {each.kind for each in tunings(RAW, "adamw", "photo")} == {"all"}
    uncut = Candidate("uncut", (), True, Speed(1e-4, 4e-4, float("inf")))
    assert {each.kind for each in tunings(uncut, "adamw", None)} == {"head", "all"}


def test_a_grid_fits_the_time_and_prefers_what_is_likely_to_be_better() -> None:
    options = [(each, tunings(each, "adamw", "photo")) for each in (SLOW, QUICK)]
    expected = []
    for given in (20, 100, 600, 100_000):
        room = Room(IMAGES, given)
        epochs, chosen = fit_grid(options, room)
        assert race_seconds(chosen, epochs, room) <= given
        assert all(each.seconds <= given for each in chosen)
        expected.append(
            expected_best(
                [Prospect(each.candidate.gain(each.tuning, epochs), SCATTER) for each in chosen]
            )
        )
        # Rungs lie after the head has learned alone, and before the end.
        tried = [(QUICK, tunings(QUICK, "adamw", "photo")[1])]
        [frozen], rungs = frozen_epochs(*tried[0], room, epochs), race_rungs(tried, room, epochs)
        assert frozen < rungs[0] <= rungs[-1] < epochs
    assert expected == sorted(expected)
    # The cheapest answer is always there, and with the time everything of either.
    assert epochs == EPOCHS[0] and chosen[0].tuning.kind == "head"
    whole = {each.candidate.label for each in chosen if each.tuning.kind == "all"}
    assert whole == {"slow", "quick"}
    _, short = fit_grid(options, Room(IMAGES, 100))
    assert not any(each.candidate is SLOW and each.tuning.kind == "all" for each in short)
    assert fit_grid(options, Room(IMAGES, 1))[1] == []
    # A probe that is far better is worth more than another network.
    better = replace(SLOW, merit=1.0)
    _, chosen = fit_grid([(better, options[0][1]), options[1]], Room(IMAGES, 600))
    assert {each.candidate.label for each in chosen} == {"slow"}


def test_each_candidate_is_told_by_its_own_size_and_what_was_not_trained_by_name() -> None:
    both = [config_of("model=resnet18", f"image_size={size}") for size in (32, 224)]
    quick, told = Speed(1e-6, 1e-6, 1e-6), list[str]()

    def fit(most: float, speed: Speed) -> list[int]:
        pairs = [(both[0], quick), (both[1], speed)]
        found = fit_screen(pairs, IMAGES, most, slow=1.0, may_shrink=True, say=told.append)
        return [config.image_size for config, _ in found]

    assert fit(60.0, quick) == [32, 224] and told == []
    assert fit(60.0, Speed(0.03, 0.1, 0.01)) == [32, 160]
    assert told == ["resnet18 starter 160px: the weights' own 224 px would take too long"]
    # As far as 32, step by step.
    assert fit(60.0, Speed(0.9, 1.0, 0.01)) == [32, 32]
    candidates = {each: [f"model={each}", "weights=none"] for each in ("a", "b", "c")}
    choice = Choice([], [], {}, candidates=candidates, hopeless=["b"])
    assert choice.untrained([["weights=none", "model=a", "seed=0"]]) == ["c"]


def test_features_are_stored_once_and_each_view_takes_a_pass() -> None:
    def took(at: int, *others: int, candidate: Candidate = SLOW) -> float:
        listed, room = tunings(candidate, "adamw", "photo"), Room(IMAGES, 1)
        there = {name for other in others for name in passes(candidate, listed[other], room, 10)}
        return seconds(candidate, listed[at], room, 10, there)

    head, plain, views = 0, 2, 3
    every = 2200 * 2e-2
    assert took(head) - took(head, head) == pytest.approx(every)
    # The screen has seen the images for the head.
    assert took(head, candidate=replace(SLOW, seen=True)) == took(head, head)
    assert took(plain) - took(plain, head) == pytest.approx(every)
    assert took(plain, head) - took(plain, plain) == pytest.approx(every)
    # Two frozen epochs see two views, the others four.
    alone = (2 * 2000 + 200 + 4 * 2000 + 200) * 2e-2
    assert took(views, head, plain) - took(views, views) == pytest.approx(alone)


def test_validation_names_the_finalists_and_the_test_images_only_when_it_is_enough() -> None:
    # What is last on validation is the best on test images.
    every = {"a": 9, "b": 8, "c": 7, "d": 40}
    right = {name: [k % wrong != 0 for k in range(400)] for name, wrong in every.items()}
    runs, answers = [], {}
    for place, name in enumerate("dcab"):
        for seed in range(1 if name == "d" else 3):
            run = make_run(name, 0, seed, sum(right[name]) / 400)
            run.metrics["best/val_acc"] = 0.5 if name == "d" else 0.9 - 0.01 * (name != "a")
            runs.append(run)
            answers[run.id] = make_predictions(
                right[name][seed + place :] + right[name][: seed + place]
            )
    rows = make_rows(runs, predictions=answers)
    # Equal ones by name, though the test images prefer another.
    assert [row.runs[0].params["model.name"] for row in rows] == ["a", "b", "c", "d"]
    assert counts_of_finalists(len(rows), 3) == [3, 2]
    assert counts_of_finalists(1, 3) == [1] and counts_of_finalists(0, 3) == []
    alone = [row.runs[0].id for row in rows if not is_decided([row], 5)]
    assert alone == [rows[3].runs[0].id], "three seeds tell how far it scatters"
    # Without further seeds nothing is known of recipes.
    assert not is_decided(make_rows(runs[:1] + runs[1:2], predictions=answers), 5)


def _kill_in_the_first_after_the_race(workplace: Workplace, *arguments: str) -> tuple[int, str]:
    """Kill a choice in the middle of the first job that it tries after its race."""
    process = workplace.start(*arguments)
    assert process.stdout is not None
    after = False
    for line in process.stdout:
        after |= line.startswith("next: ")
        if after and line.startswith("epoch   2"):
            break
    process.kill()
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def test_a_killed_choice_goes_on_with_the_same_plan_to_its_answer(workplace: Workplace) -> None:
    # Far more than it needs: in the end nothing else is worth trying, and the second seed of the
    # finalists decides or ends it. Each job is told twice, which makes no other sweep of it.
    command = (*COMMAND, "tune=head", "seed=0,0", "budget=20m")
    code, errors = _kill_in_the_first_after_the_race(workplace, *command)
    assert code == -signal.SIGKILL, errors
    [plan] = workplace.folder.glob("multirun/*/*/choice.json")
    before = json.loads(plan.read_text())
    assert before["jobs"] and all("tune=head" in job for job in before["jobs"])
    assert len(before["tried"]) == 1
    done = workplace.run("train.py", *command, "resume=true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("as planned before:\n2 candidates, 702 images; budget 20m\n")
    [again] = [each for each in workplace.folder.glob("multirun/*/*/choice.json") if each != plan]
    after = json.loads(again.read_text())
    # The same plan, and the same was tried first.
    assert after | {"tried": after["tried"][:1]} == before
    assert "nothing else is worth trying; of the budget" in done.stdout
    noted = again.parent / "budget.json"
    clock = json.loads(noted.read_text())
    own = noted.stat().st_mtime - clock["start"] + clock["report"]
    assert 1 < clock["spent"] - own < clock["spent"] < 20 * 60, "that of the killed one counts"
    runs = [run for run in workplace.runs() if "mlflow.parentRunId" in run.data.tags]
    fingerprints = [run.data.tags["transfer.fingerprint"] for run in runs]
    assert len(fingerprints) == len(set(fingerprints)), "one run a job"
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    winners = {
        run.data.tags["transfer.configuration"] for run in runs if run.data.params["seed"] == "1"
    }
    first = [
        run for run in runs if run.info.status == "FINISHED" and run.data.params["seed"] == "0"
    ]
    scores = {
        run.data.tags["transfer.configuration"]: run.data.metrics["best/val_acc"] for run in first
    }
    assert winners, "the finalists have a second seed"
    told = sorted(scores.values(), reverse=True)[: len(winners)]
    assert sorted((scores[each] for each in winners), reverse=True) == told, "best on validation"
    assert "\n- Take " in done.stdout and "budget" not in runs[0].data.params
    report = (again.parent / "report.md").read_text()
    assert "The sweep was given 20m, which was enough" in report
    assert "so it is a little too sure" in report
    assert "Nothing that is left was worth trying" in report
    assert "agreed" not in report or "Kendall" in report


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (("budget=2s",), "budget=2s: too short for anything: "),
        (("budget=null",), "budget=null: is divided here; give it a time, such as 30m\n"),
        (("hydra.sweeper.seeds=0",), "hydra.sweeper.seeds=0: must be from 1 to 20\n"),
    ],
)
def test_what_leaves_nothing_to_choose_is_one_line(
    workplace: Workplace, overrides: tuple[str, ...], problem: str
) -> None:
    done = workplace.run("train.py", *COMMAND, *overrides)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(problem)
    assert not workplace.runs()


def test_a_single_job_is_no_choice(workplace: Workplace) -> None:
    done = workplace.run("train.py", "experiment=choose")
    assert done.returncode == 2
    assert done.stderr == "experiment=choose: chooses among many jobs; type -m before it\n"


def test_what_is_typed_takes_the_place_of_a_part_of_the_grid(workplace: Workplace) -> None:
    typed = ("tune=all,last:2", "optimizer.lr=1e-3,3e-4", "augment=none")
    command = ("train.py", *COMMAND, *typed, "budget=1h", "preview=true")
    done = workplace.run(*command)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith(("resnet", "mobile"))]
    assert "without the screen, which takes time: all candidates count alike here" in done.stdout
    # Two models, two parts, two rates; each once.
    assert len(table) == 8, done.stdout
    assert sum("last2" in line for line in table) == 4
    assert not workplace.runs() and not list(Path(workplace.folder).glob("multirun"))
