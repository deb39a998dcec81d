"""What follows the race of a sweep that chooses: planned in a store of its own, never trained."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import DictConfig, read_write

from tests.conftest import hydra_config
from transfer.config.duration import read_duration
from transfer.evaluate.speed import Speed
from transfer.sweep import state
from transfer.sweep.budget import Budget
from transfer.sweep.choose.attempts import Attempts
from transfer.sweep.choose.choice import Attempt, Choice
from transfer.sweep.choose.grid import Images, Room
from transfer.sweep.choose.halfway import Halfway
from transfer.sweep.choose.menu import Menu
from transfer.sweep.choose.option import name_of
from transfer.sweep.choose.tunings import Candidate
from transfer.sweep.choose.typed_overrides import sort_overrides
from transfer.sweep.choose.worth import merit_of
from transfer.sweep.driver import Sweep
from transfer.sweep.outcomes import Outcome, note_outcome, read_outcomes
from transfer.sweep.pace import Pace
from transfer.sweep.race.more_jobs import add_jobs
from transfer.tracking.previous_run import lock_of
from transfer.tracking.run_state import Point, RunState
from transfer.tracking.store import experiment_id, open_store
from transfer.tracking.sweep_run import TRIES_TAG, open_sweep, tries_tags

# Three epochs of ten seconds.
LENET = Candidate(
    "lenet none",
    ("model=lenet", "weights=none", "image_size=32"),
    False,
    Speed(1e-3, 1e-2, 1e-3),
    "lenet 32",
)
MENU = Menu([LENET], Room(Images(1000, 100, 100), 100.0), [3])


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DictConfig]:
    uri = f"tracking.uri=sqlite:///{tmp_path_factory.mktemp('store')}/store.db"
    task = ["experiment=choose", "data.train_per_class=5", "augment=none", "budget=1h", uri]
    with hydra_config(*task) as composed:
        with read_write(composed):
            composed.hydra.overrides.task = task
        yield composed


def _attempts(config: DictConfig) -> list[Attempt]:
    typed = sort_overrides(config)
    options = MENU.options(config, typed)
    return [MENU.attempt(place, tuning, 3, typed) for place, tuning in options]


def _sweep(
    config: DictConfig, folder: Path, grid: Sequence[Attempt], tried: Sequence[Attempt] = ()
) -> Sweep:
    """After its race between these; it goes on with what was tried where something was."""
    typed, client = sort_overrides(config), open_store(config.tracking.uri)
    planned = MENU.planned(config, typed)
    choice = Choice([], [], planned, grid, MENU.write(), tried=tried)
    lock = lock_of(folder)
    lock.acquire()
    sweep = Sweep(
        client, folder, lock, [str(grid[0].overrides), str(folder)], [], state.Repeats({}),
        state.AutoWeights({}), resume=bool(tried), pace=Pace(planned=planned), choice=choice,
    )  # fmt: skip
    sweep.open()
    add_jobs(sweep, config, [[*typed.fixed, *job] for each in grid for job in each.jobs])
    return sweep


def _finish(sweep: Sweep, number: int, accuracy: float) -> None:
    """Let the store have a run of a job that has come to its end."""
    assert sweep.run is not None
    tags = {
        "transfer.fingerprint": sweep.jobs[number].fingerprint,
        "transfer.kind": "job",
        "mlflow.parentRunId": sweep.run.run_id,
    }
    run = sweep.client.create_run(experiment_id(sweep.client), tags=tags)
    sweep.client.log_metric(run.info.run_id, "best/val_acc", accuracy)
    sweep.client.set_terminated(run.info.run_id, "FINISHED")
    outcome = Outcome(sweep.jobs[number].overrides, "finished")
    note_outcome(sweep.folder, number, outcome)


def _give(sweep: Sweep, left: float) -> None:
    """So many seconds to what is left of a budget."""
    sweep.budget = Budget(1000.0 + left, start=time.time() - 1000.0, report=0.0)


def _tags(sweep: Sweep) -> dict[str, str]:
    assert sweep.run is not None
    found = sweep.client.get_run(sweep.run.run_id).data.tags
    return {name: each for name, each in found.items() if name.startswith(TRIES_TAG)}


def test_time_is_kept_for_seeds_of_two_until_these_have_had_theirs(
    config: DictConfig, tmp_path: Path
) -> None:
    first, second, *_ = _attempts(config)
    sweep = _sweep(config, tmp_path, [first, second])
    _finish(sweep, 0, 0.9)
    _give(sweep, 70)
    # Of one alone a rival says more than another seed does.
    assert Attempts(sweep, config).next_batch(seeds_follow=True) == [2]
    sweep.choice = replace(sweep.choice, tried=[]) if sweep.choice else None
    _finish(sweep, 1, 0.88)
    attempts = Attempts(sweep, config)
    assert attempts.next_batch(seeds_follow=True) == [] and not _tags(sweep)
    assert attempts.next_batch(seeds_follow=False) == [3]
    _give(sweep, 20)
    assert attempts.next_batch(seeds_follow=False) == []
    told = _tags(sweep)
    assert told[TRIES_TAG] == "0", "what failed was not trained"
    assert told[f"{TRIES_TAG}_next"].startswith("lenet none")
    # As much time as is said would do, also beside what is kept.
    assert sweep.budget is not None
    seconds = read_duration("budget", told[f"{TRIES_TAG}_budget"])
    assert 1000 < seconds < 1300
    sweep.budget = replace(sweep.budget, seconds=seconds)
    assert attempts.next_batch(seeds_follow=True) == [4]


def test_what_was_tried_before_counts_where_there_is_no_time_to_go_on(
    config: DictConfig, tmp_path: Path
) -> None:
    first, second, third = _attempts(config)
    before = _sweep(config, tmp_path, [second], [first, third])
    _finish(before, 0, 0.9)
    _give(before, 1000)
    attempts = Attempts(before, config)
    assert attempts.next_batch(seeds_follow=True) == [1]
    _finish(before, 1, 0.91)
    _give(before, -1)
    # The other one was never begun, and is what comes next.
    assert attempts.next_batch(seeds_follow=True) == []
    assert read_outcomes(tmp_path)[2].status == "left out"
    assert attempts.next_batch(seeds_follow=False) == []
    assert _tags(before)[TRIES_TAG] == "1"
    later = Attempts(before, config)
    # Once more, without time from the start: what has finished is launched to end at once.
    before.jobs, before.split = before.jobs[:1], before.split[:1]
    assert later.next_batch(seeds_follow=True) == [1]
    assert later.next_batch(seeds_follow=True) == []
    assert later.next_batch(seeds_follow=False) == []
    told = _tags(before)
    assert told[TRIES_TAG] == "1"
    name = " ".join(each for each in first.overrides)
    assert name not in told[f"{TRIES_TAG}_next"]


def test_one_of_several_seeds_tells_what_a_configuration_comes_to(
    config: DictConfig, tmp_path: Path
) -> None:
    first, *others = _attempts(config)
    seeds = [[*job, f"seed={seed}"] for job in first.jobs for seed in (0, 1)]
    sweep = _sweep(config, tmp_path, [first._replace(jobs=seeds), *others])
    _finish(sweep, 0, 0.9)
    for number, status in {1: "not repeated", 2: "dropped", 3: "dropped"}.items():
        note_outcome(tmp_path, number, Outcome("", status))
    _give(sweep, 1000)
    # A rate beside its own follows; nothing that was dropped goes on.
    assert Attempts(sweep, config).next_batch(seeds_follow=True) == [4]
    # Twice a rate of 1e-3 is the 2e-3 of the grid.
    assert name_of(0, ["augment=none", "optimizer.lr=0.002"]) == (
        name_of(0, ["augment=none", "optimizer.lr=2e-3"])
    )


def test_what_led_and_had_no_time_goes_on_first(
    config: DictConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # No test beside this one has runs of these.
    grid = [each._replace(jobs=[[*each.jobs[0], "seed=9"]]) for each in _attempts(config)[:2]]
    sweep = _sweep(config, tmp_path, grid)
    _finish(sweep, 0, 0.5)
    folder = tmp_path / "1"
    folder.mkdir()
    run = RunState(folder, "waits", {"transfer.fingerprint": sweep.jobs[1].fingerprint})
    run.write()
    run.append([Point("val/acc", score, step, 0) for step, score in ((1, 0.8), (2, 0.7))])
    outcome = Outcome(sweep.jobs[1].overrides, "out of time", folder=str(folder))
    note_outcome(tmp_path, 1, outcome)
    found = Halfway.of(sweep, [1])
    assert found is not None
    assert found.epochs == (2,) and found.merit == pytest.approx(merit_of(0.2))
    assert found.seconds < sweep.pace.seconds(sweep.expected.jobs["1"], 0, 3)
    assert Halfway.of(sweep, [0, 1]) is None, "one of them has come to its end"
    _give(sweep, 1)
    with caplog.at_level("INFO"):
        assert Attempts(sweep, config).next_batch(seeds_follow=False) == []
    assert "3 epochs, on from epoch 2, about " in caplog.text
    _give(sweep, 25)
    attempts = Attempts(sweep, config)
    # Of ten seconds an epoch there is time for its last, and for nothing that begins.
    assert attempts.next_batch(seeds_follow=True) == [1]
    assert sweep.split[1][-1] == "resume=true"
    _finish(sweep, 1, 0.85)
    assert attempts.next_batch(seeds_follow=False) == [], "it is not taken up again"


def test_a_command_that_goes_on_forgets_what_the_last_one_said(
    config: DictConfig, tmp_path: Path
) -> None:
    first, *_ = _attempts(config)
    sweep = _sweep(config, tmp_path, [first])
    assert sweep.run is not None
    for name, value in tries_tags(3, "a", "1 min", "2m").items():
        sweep.client.set_tag(sweep.run.run_id, name, value)
    assert _tags(sweep)
    sweep.lock.release()
    open_sweep(sweep.client, tmp_path, sweep.overrides, [], resume=True)
    assert not _tags(sweep)
