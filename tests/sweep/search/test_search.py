"""Searches: real processes, one of them really killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests.conftest import Sweep, Workplace
from tests.sweep.test_resume import history, kill_after_epochs
from transfer.tracking.searches import SEARCH, SearchRecord, read_search

_FIXED = ("model=lenet", "weights=none", "data.train_per_class=5", "batch_size=25")
_SEARCH = ("hydra/sweeper=search", "hydra.sweeper.n_trials=6", "hydra.sweeper.prune_from=1")
# With this seed: one that learns, one whose loss is no number, one that does not learn, two that
# contradict themselves, and the first one again.
_CHOSEN = ("hydra.sweeper.sampler=random", "hydra.sweeper.seed=11")
_SWEPT = ("optimizer.lr=0.003,1e-07,1e+30", "epochs=3,2", "freeze_epochs=0,3")
COMMAND = ("-m", *_SEARCH, *_CHOSEN, *_FIXED, *_SWEPT)
_STATES = ["finished", "failed", "pruned", "failed", "failed", "finished"]


@pytest.fixture(scope="module")
def search(new_workplace: Callable[[], Workplace]) -> Sweep:
    place = new_workplace()
    return Sweep(place, COMMAND, place.run("train.py", *COMMAND))


def _jobs(place: Workplace) -> dict[str, Run]:
    runs = [run for run in place.runs() if "mlflow.parentRunId" in run.data.tags]
    found = {run.data.params["optimizer.lr"]: run for run in runs}
    assert len(found) == len(runs), "one run a job, whatever happened to its trials"
    return found


def _record(place: Workplace) -> SearchRecord:
    [parent] = [run for run in place.runs() if run.data.tags.get("transfer.kind") == "sweep"]
    return read_search(Path(place.client.download_artifacts(parent.info.run_id, SEARCH)))


def test_trials_are_jobs_and_what_fails_does_not_end_the_search(search: Sweep) -> None:
    assert search.process.returncode == 1, search.process.stderr
    record, runs = _record(search.workplace), _jobs(search.workplace)
    assert [each.state for each in record.trials] == _STATES
    assert "3 of 5 jobs failed:" in search.process.stderr
    assert "freeze_epochs=3: must be from 0" in search.process.stderr
    assert {rate: run.info.status for rate, run in runs.items()} == {
        "0.003": "FINISHED",
        "1e+30": "FAILED",
        "1e-07": "KILLED",
    }
    first, last = record.trials[0], record.trials[-1]
    assert last.repeats == 0 and last.score == first.score == _best(runs["0.003"])
    assert first.chosen == ["optimizer.lr=0.003", "epochs=2", "freeze_epochs=0"]


def _best(run: Run) -> float:
    score = run.data.metrics["best/val_acc"]
    assert isinstance(score, float)
    return score


def test_a_pruned_trial_stops_and_is_never_tested(search: Sweep) -> None:
    run = _jobs(search.workplace)["1e-07"]
    text = run.data.tags["transfer.dropped"]
    assert (
        text.startswith("dropped at epoch 1, ") and "behind lenet-freeze0-seed0 (trial 0)" in text
    )
    assert not [name for name in run.data.metrics if name.startswith("test/")]
    points = search.workplace.client.get_metric_history(run.info.run_id, "val/acc")
    assert [point.step for point in points] == [1]
    assert _record(search.workplace).trials[2].epoch == 1
    assert not list(search.folder.glob("*/checkpoints"))
    report = (search.folder / "report.md").read_text()
    assert "6 trials, chosen by `random`: 2 trained to the end, 1 pruned by `median`, 3" in report
    assert (search.folder / "figures/search.png").is_file()
    dropped = report.split("## Dropped on the way")[1]
    assert "1e-07" in dropped, dropped


def test_a_finished_trial_is_what_it_would_be_alone(
    search: Sweep, new_workplace: Callable[[], Workplace]
) -> None:
    alone = new_workplace()
    done = alone.run("train.py", *_FIXED, "optimizer.lr=0.003", "epochs=2", "freeze_epochs=0")
    assert done.returncode == 0, done.stderr
    [run] = alone.runs()
    twin = _jobs(search.workplace)["0.003"]
    assert history(alone.client, run) == history(search.workplace.client, twin)
    assert run.data.tags["transfer.fingerprint"] == twin.data.tags["transfer.fingerprint"]


def test_a_search_that_was_killed_goes_on(search: Sweep, workplace: Workplace) -> None:
    kill_after_epochs(workplace, 1, *COMMAND)
    parallel = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "resume=true")
    done = workplace.run("train.py", *COMMAND, *parallel)
    assert done.returncode == 1, done.stderr
    undisturbed, record = _record(search.workplace), _record(workplace)
    assert record == undisturbed
    # Once more: what failed is tried again, and counted once.
    others = ("hydra.sweeper.sampler=qmc", "hydra.sweeper.pruner=none", "resume=true", "device=cpu")
    chosen = ("hydra.sweeper.sampler=", "hydra.sweeper.prune_from=")
    typed = [each for each in COMMAND if not each.startswith(chosen)]
    again = workplace.run("train.py", *typed, *others)
    assert again.returncode == 1 and "3 of 3 jobs failed:" in again.stderr
    assert "goes on as it began, with sampler=random, pruner=median, " in again.stdout
    retried = _record(workplace)
    assert (retried.sampler, retried.pruner) == ("random", "median")
    assert sorted(each.state for each in retried.trials) == sorted(_STATES)
    assert [each.number for each in retried.trials] == [0, 2, 5, 6, 7, 8]
    twin, run = (_jobs(place)["0.003"] for place in (search.workplace, workplace))
    assert history(search.workplace.client, twin) == history(workplace.client, run)
    [parent] = [each for each in workplace.runs() if "transfer.kind" in each.data.tags]
    listed = workplace.client.download_artifacts(parent.info.run_id, "jobs.json")
    assert len(json.loads(Path(listed).read_text())["jobs"]) == 3


@pytest.mark.parametrize(
    ("overrides", "refusal"),
    [
        (["hydra.sweeper.pruner=asap"], "hydra.sweeper.pruner=asap: choose from none, median"),
        (["optimizer.lr=interval(-1,1)"], "optimizer.lr=-1.0: must be "),
        (["optimizer.lr=0.1"], "hydra/sweeper=search: nothing is left to choose;"),
        (["seed=0,1"], "seed=0,1: a search would choose the luckiest;"),
        (["weights=none,missing.pth"], "weights=missing.pth: "),
    ],
)
def test_what_cannot_be_searched_is_refused(
    workplace: Workplace, overrides: list[str], refusal: str
) -> None:
    swept = [] if overrides[0].startswith("optimizer.lr") else ["optimizer.lr=interval(0.1,1)"]
    done = workplace.run("train.py", "-m", "hydra/sweeper=search", *_FIXED, *swept, *overrides)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(refusal)
    assert not workplace.runs()


def test_the_preview_says_what_is_chosen_from(workplace: Workplace) -> None:
    done = workplace.run("train.py", *COMMAND, "preview=true")
    assert done.returncode == 0, done.stderr
    assert "6 trials by random, seed 11; pruned by median, from epoch 1 of 3 on:" in done.stdout
    assert "\n  optimizer.lr   0.003, 1e-07, 1e+30\n  epochs         3, 2\n" in done.stdout
    assert not workplace.runs()


def test_no_trial_begins_that_there_is_no_time_for(workplace: Workplace) -> None:
    done = workplace.run("train.py", *COMMAND, "budget=1s")
    assert done.returncode == 0, done.stderr
    assert "6 trials are left out for want of time" in done.stdout
    assert "(6 never begun); with more of it they go on:" in done.stdout
    assert not _jobs(workplace)
