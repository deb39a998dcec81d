"""The time that a sweep may take: as it is typed, as it is counted, and what is told from it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import PLAIN, TINY, Workplace
from transfer.config.duration import read_duration
from transfer.config.halving import Halving, HalvingConfig
from transfer.sweep import driver, state
from transfer.sweep.budget import Budget, closed, ended, open_budget
from transfer.sweep.choose.choice import Choice
from transfer.sweep.driver import Sweep
from transfer.sweep.endings import tell_budget
from transfer.sweep.expected import Expected, ExpectedJob
from transfer.sweep.outcomes import Outcome, note_outcome, read_outcomes
from transfer.sweep.pace import Pace
from transfer.sweep.race.affordable import Resources, count_kept, may_start
from transfer.sweep.race.race import Race
from transfer.sweep.state import AutoWeights, Repeats
from transfer.system.errors import ConfigError
from transfer.tracking.previous_run import lock_of
from transfer.tracking.store import open_store
from transfer.tracking.sweep_run import PlannedJob, SweepRun


def test_more_than_what_is_used_up_is_recommended(capsys: pytest.CaptureFixture[str]) -> None:
    budget = Budget(10.0, start=time.time() - 31.0)
    tell_budget(budget, [Outcome("", "left out")])
    told = capsys.readouterr().out
    assert "the budget of 10s was too short for any job to finish (1 never begun)" in told
    assert " budget=1m20s\n" in told
    tell_budget(replace(budget, seconds=60.0), [Outcome("", "finished"), Outcome("", "paused")])
    assert " budget=2m\n" in capsys.readouterr().out


def test_durations_as_people_type_them() -> None:
    typed = {"90s": 90, "30m": 1800, "1h": 3600, "1h30m": 5400, "1.5h": 5400, "1m30s": 90}
    assert {text: read_duration("budget", text) for text in typed} == typed
    for text in ("", "90", "h", "1m1h", "-1h", "1 hour", "1h 30m", "0m", "0.5s", "1e3s"):
        with pytest.raises(ConfigError, match=r"budget="):
            read_duration("budget", text)


def test_time_between_two_commands_does_not_count(tmp_path: Path) -> None:
    now = time.time()
    first = Budget(600, spent=0, start=now - 5000, report=10)
    state.note(tmp_path, first)
    note_outcome(tmp_path, 0, Outcome("", "finished"))
    outcome = tmp_path / "outcomes/0/outcome.json"
    for path, ago in ((tmp_path / "budget.json", 4990), (outcome, 4900)):
        os.utime(path, (now - ago, now - ago))
    # What a person does with a sweep that was killed is no sign of its life; a link leads nowhere.
    (tmp_path / "report.md").touch()
    (tmp_path / "pace.json").symlink_to("nowhere")
    former = ended(first, state.last_life(tmp_path))
    assert former.spent == pytest.approx(100, abs=1)
    # One that ends in order says itself what it took, its report included.
    over = closed(replace(first, start=now - 50))
    state.note(tmp_path, over)
    assert over.spent == pytest.approx(60, abs=1)
    assert ended(over, state.last_life(tmp_path) + 1000) == over == state.read_budget(tmp_path)
    state.note(tmp_path, first)
    second = open_budget("20m", 3, former)
    assert second is not None and second.seconds == 1200
    assert second.used == pytest.approx(100 + now - second.start, abs=1)
    assert second.left == pytest.approx(1200 - second.report - second.used, abs=1)
    assert open_budget(None) is None
    assert state.read_budget(tmp_path) == first and state.read_budget(tmp_path / "outcomes") is None


def test_a_sweep_that_is_killed_as_it_opens_keeps_its_time_and_plan(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workplace.folder / "out"
    folder.mkdir()
    choice = Choice([["epochs=2"]], ["told"], {})

    def open_with(budget: Budget | None) -> None:
        sweep = Sweep(
            open_store(workplace.store), folder, lock_of(folder), [],
            [PlannedJob("name", "seed=0", "0")], Repeats({}), AutoWeights({}), True,
            budget=budget, choice=choice,
        )  # fmt: skip
        sweep.open()

    def killed(*_: object, **__: object) -> SweepRun:
        raise KeyboardInterrupt

    open_with(Budget(60, 10, 5))
    note_outcome(folder, 0, Outcome("", "finished"))
    monkeypatch.setattr(driver, "open_sweep", killed)
    with pytest.raises(KeyboardInterrupt):
        open_with(second := Budget(90, 30, 7))
    assert (state.read_budget(folder), state.read_choice(folder)) == (second, choice)
    assert not read_outcomes(folder)
    monkeypatch.undo()
    open_with(None)
    assert state.read_budget(folder) is None and state.read_choice(folder) is None


def test_what_an_earlier_command_has_begun_is_not_told_as_never_begun(
    workplace: Workplace,
) -> None:
    names = ("new", "begun", "trained")
    jobs = [PlannedJob(name, f"seed={seed}", name) for seed, name in enumerate(names)]
    work = {
        str(number): ExpectedJob("small", 9, done, head_epochs=0, head_share=0.25, size=100)
        for number, done in enumerate((0, 2, 9))
    }
    folder = workplace.folder / "out"
    folder.mkdir()
    sweep = Sweep(
        open_store(workplace.store), folder, lock_of(folder), [], jobs, Repeats({}),
        AutoWeights({}), True, halving=Halving(HalvingConfig(), [3], 9), expected=Expected(work),
        budget=Budget(60, 100, time.time()), split=[[f"model={name}"] for name in names],
    )  # fmt: skip
    sweep.open()
    assert Race(sweep, at_most=3).next_batch() == [2]
    ends = {number: each.status for number, each in read_outcomes(folder).items()}
    assert ends == {0: "left out", 1: "paused"}


def test_the_pace_of_jobs_tells_of_others(tmp_path: Path) -> None:
    small = ExpectedJob("small", 10, 0, head_epochs=2, head_share=0.25, size=100)
    pace = Pace()
    assert pace.seconds(small, 0, 10) is None and pace.seconds(small, 5, 5) == 0
    # The first epoch of each phase is slow, and no measure; a second to start.
    pace.learn(small, Outcome("", "paused", "", "", 22.0, 1, [9.0, 1.0, 7.0, 2.0, 2.0]))
    assert pace.seconds(small, 5, 7) == pytest.approx(1 + 2 * 2)
    assert pace.seconds(small, 0, 4) == pytest.approx(1 + 2 * 1 + 2 * 2)
    pace.learn(small, Outcome("", "finished", "", "", 14.0, 6, [2.0] * 5))
    assert pace.seconds(small, 8, 10) == pytest.approx(4 + 2 * 2), "its test, and its curves"
    # Another kind takes as its size tells, until it is known better.
    large = small._replace(kind="large", size=1000)
    assert pace.seconds(large, 4, 5) == pytest.approx(1 + 20)
    pace.learn(large, Outcome("", "failed", "", "", 14.0, 6, [5.0]))
    assert pace.seconds(large, 4, 5) == pytest.approx(1 + 20), "what failed says nothing"
    # What was planned of a kind holds until it is measured.
    planned = Pace(planned={"small": [2.0, 1.0, 5.0]})
    assert planned.seconds(small, 1, 10) == pytest.approx(1 + 1 + 8 * 2 + 5)
    planned.learn(small, Outcome("", "paused", "", "", 40.0, 3, [39.0]))
    assert planned.seconds(small, 2, 4) == pytest.approx(1 + 2 * 2), "a first epoch is slow"
    state.note(tmp_path, pace)
    assert state.read_pace(tmp_path) == pace


def test_as_many_go_on_as_can_be_finished() -> None:
    budget = Budget(101, start=time.time(), report=0)
    resources = Resources(budget, Pace(), [1, 3, 9], eta=3, at_once=1)
    # Four: two of them go on from the first rung, and one from the second.
    costs = [[10.0, 20.0, 20.0]] * 9
    assert count_kept(costs, resources) == 4
    assert count_kept(costs, replace(resources, at_once=2)) == 9
    assert count_kept(costs, replace(resources, budget=replace(budget, seconds=49))) == 0
    assert count_kept([], resources) == 0
    # Those that have come there already cost no more until then.
    assert may_start(costs[0], [], costs[:4], resources)
    assert not may_start(costs[0], costs[:6], [], resources)
    assert not may_start([10.0, 20.0, 80.0], [], [], resources), "it could not come to its end"
    nothing = ExpectedJob("new", 9, 0, head_epochs=0, head_share=0.25, size=100)
    assert resources.stretches(nothing, 0) is None
    resources.pace.learn(nothing, Outcome("", "paused", "", "", 3.0, 1, [2.0]))
    assert resources.stretches(nothing._replace(done=1), 1) == [1 + 2 * 2, 3 + 6 * 2]


def test_a_budget_is_for_sweepers_that_keep_to_it(workplace: Workplace) -> None:
    for mode in ((), ("-m",)):
        done = workplace.run("train.py", *mode, *PLAIN, *TINY, "budget=1h")
        assert done.returncode == 2
        assert done.stderr.startswith("budget=1h: a single job, or every job of a grid, takes")
    assert not workplace.runs()
