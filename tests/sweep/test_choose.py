"""From a folder and a budget to an answer: the plan that fits the time, and a sweep by it that is
really killed."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.compare.runs import make_predictions, make_rows, make_run
from tests.conftest import Workplace
from tests.sweep.test_resume import kill_after_epochs
from transfer.evaluate.speed import Speed
from transfer.sweep.finalists import by_validation, counts_of_finalists, is_decided
from transfer.sweep.grid import (
    EPOCHS,
    Candidate,
    Images,
    Room,
    fit_grid,
    frozen_epochs,
    race_rungs,
    race_seconds,
    seconds,
    tunings,
)

IMAGES = Images(2000, 200, 500)
QUICK = Candidate("quick", ("model=quick",), True, Speed(1e-4, 4e-4, 2e-4))
SLOW = Candidate("slow", ("model=slow",), True, Speed(2e-2, 8e-2, 2e-3))
RAW = Candidate("raw", ("model=raw",), False, Speed(1e-4, 4e-4, 2e-4))
COMMAND = ("-m", "experiment=choose", "model=resnet18,mobilenet_v3_small", "epochs=4")
COMMAND += ("data.train_per_class=20", "hydra.sweeper.seeds=2")


def test_what_is_tried_of_a_candidate() -> None:
    tried = tunings(QUICK, "adamw", "photo")
    assert [each.kind for each in tried[:3]] == ["head", "all", "last:1"]
    assert len({each.overrides for each in tried}) == len(tried) == 8
    augmented = [each for each in tried if "augment=photo" in each.overrides]
    assert augmented and all(each.kind == "all" for each in augmented)
    assert len(tunings(QUICK, "sgd", None)) == 7
    # Random weights have no head to learn alone.
    assert {each.kind for each in tunings(RAW, "adamw", "photo")} == {"all"}
    uncut = Candidate("uncut", (), True, Speed(1e-4, 4e-4, float("inf")))
    assert {each.kind for each in tunings(uncut, "adamw", None)} == {"head", "all"}


def test_a_grid_fits_the_time() -> None:
    options = [(each, tunings(each, "adamw", "photo")) for each in (SLOW, QUICK)]
    sizes = []
    for given in (20, 100, 600, 100_000):
        epochs, chosen = fit_grid(options, Room(IMAGES, given))
        sizes.append((epochs, len(chosen)))
        assert race_seconds(chosen, epochs, Room(IMAGES, given)) <= given
        assert all(each.seconds <= given for each in chosen)
        # Rungs lie after the head has learned alone, and before the end.
        room, tried = Room(IMAGES, given), [(QUICK, tunings(QUICK, "adamw", "photo")[1])]
        [frozen], rungs = frozen_epochs(*tried[0], room, epochs), race_rungs(tried, room, epochs)
        assert frozen < rungs[0] <= rungs[-1] < epochs
    assert sizes == sorted(sizes) and sizes[-1] == (EPOCHS[0], 16)
    _, short = fit_grid(options, Room(IMAGES, 100))
    assert not any(each.candidate is SLOW and each.tuning.kind == "all" for each in short)
    assert fit_grid(options, Room(IMAGES, 1))[1] == []
    # What is stored is stored once.
    last = tunings(SLOW, "adamw", None)[2]
    first, second = (
        seconds(SLOW, last, Room(IMAGES, 1), 10, stored=stored) for stored in (False, True)
    )
    assert first - second == pytest.approx(2200 * 2e-2)


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
    rows = by_validation(make_rows(runs, predictions=answers))
    # Equal ones by name, though the test images prefer another.
    assert [row.runs[0].params["model.name"] for row in rows] == ["a", "b", "c", "d"]
    assert counts_of_finalists(len(rows), 3) == [3, 2]
    assert counts_of_finalists(1, 3) == [1] and counts_of_finalists(0, 3) == []
    alone = [row.runs[0].id for row in rows if not is_decided([row], 5)]
    assert alone == [rows[3].runs[0].id], "three seeds tell how far it scatters"
    # Without further seeds nothing is known of recipes.
    assert not is_decided(by_validation(make_rows(runs[:1] + runs[1:2], predictions=answers)), 5)


def test_a_killed_choice_goes_on_with_the_same_plan_to_its_answer(workplace: Workplace) -> None:
    # Far more than it needs: the finalists' second seed decides or ends it. Each job is told twice,
    # which makes no other sweep of it.
    command = (*COMMAND, "tune=head", "seed=0,0", "budget=20m")
    code, errors = kill_after_epochs(workplace, 6, *command)
    assert code == -signal.SIGKILL, errors
    [plan] = workplace.folder.glob("multirun/*/*/choice.json")
    jobs = json.loads(plan.read_text())["jobs"]
    assert len(jobs) == 8 and all("tune=head" in job for job in jobs)
    done = workplace.run("train.py", *command, "resume=true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("as planned before:\n2 candidates, 702 images; budget 20m\n")
    [again] = [each for each in workplace.folder.glob("multirun/*/*/choice.json") if each != plan]
    assert again.read_text() == plan.read_text()
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
    # Two models, two parts, two rates; each once.
    assert len(table) == 8, done.stdout
    assert sum("last2" in line for line in table) == 4
    assert not workplace.runs() and not list(Path(workplace.folder).glob("multirun"))
