"""Sweeps in rungs: real processes, one of them really killed."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from mlflow.entities import Run
from safetensors.torch import load_file

from tests.conftest import FASTEST, PLAIN, Workplace
from tests.sweep.test_resume import history, kill_after_epochs
from transfer.config.halving import Halving, HalvingConfig
from transfer.sweep import state
from transfer.sweep.driver import Sweep
from transfer.sweep.expected import Expected, ExpectedJob
from transfer.sweep.outcomes import Outcome, note_outcome
from transfer.sweep.race.race import Race
from transfer.sweep.state import AutoWeights, Repeats
from transfer.tracking.previous_run import lock_of
from transfer.tracking.store import open_store
from transfer.tracking.sweep_run import PlannedJob

# Two that learn, one that does not, and one whose loss is soon no number.
_RATES = ("0.001", "0.0007", "1e-07", "1e+30")
_FIXED = (*PLAIN, "data.train_per_class=20", "batch_size=25", "epochs=3", "freeze_epochs=0")
_HALVING = ("hydra/sweeper=halving", "hydra.sweeper.first_rung=1", "hydra.sweeper.eta=2")
_PAIRED = (*_HALVING, "hydra.sweeper.keep=paired")
COMMAND = ("-m", *_PAIRED, *_FIXED, f"optimizer.lr={','.join(_RATES)}")


def _by_rate(workplace: Workplace) -> dict[str, Run]:
    jobs = [run for run in workplace.runs() if "optimizer.lr" in run.data.params]
    runs = {run.data.params["optimizer.lr"]: run for run in jobs}
    assert len(runs) == len(jobs), "one run a job, over all rungs"
    return runs


def _told(run: Run) -> tuple[str, str | None]:
    return run.info.status, run.data.tags.get("transfer.dropped")


def test_losers_are_dropped_and_the_rest_is_what_it_would_be_alone(
    workplace: Workplace, new_workplace: Callable[[], Workplace]
) -> None:
    done = workplace.run("train.py", *COMMAND)
    assert done.returncode == 1, "one job failed"
    assert "1 of 4 jobs failed:" in done.stderr
    assert "rung 1 of 3, to epoch 1: 4 jobs" in done.stdout
    runs = _by_rate(workplace)
    status, text = _told(runs["1e-07"])
    assert status == "KILLED" and text is not None
    assert text.startswith("dropped at epoch 1, ") and " points behind simple_cnn" in text
    assert _told(runs["1e+30"]) == ("FAILED", None)
    assert _told(runs["0.001"]) == ("FINISHED", None)
    assert "transfer.paused" not in {**runs["1e-07"].data.tags, **runs["0.001"].data.tags}
    [report] = workplace.folder.glob("multirun/*/*/report.md")
    dropped, failed = report.read_text().split("## Dropped on the way")[1].split("## Not finished")
    assert "optimizer.lr=1e-07" in dropped and "optimizer.lr=1e+30" in failed
    assert not list(report.parent.glob("*/checkpoints"))
    assert {path.name for path in report.parent.glob("2/validation-*.npz")} == {"validation-1.npz"}

    preview = workplace.run("train.py", *COMMAND, "resume=true", "preview=true").stdout
    [line] = [line for line in preview.splitlines() if "optimizer.lr=1e-07" in line]
    assert "leave out: dropped at epoch 1" in line and line.split()[-7] == "0"

    alone = new_workplace()
    assert alone.run("train.py", *_FIXED, "optimizer.lr=0.001").returncode == 0
    _require_equal(workplace, runs["0.001"], alone, _by_rate(alone)["0.001"])


def test_further_seeds_are_for_the_best_of_what_finished(
    workplace: Workplace, new_workplace: Callable[[], Workplace]
) -> None:
    """One run of each configuration races, another one where that fails; killed in the midst, it
    comes to the same."""
    small = (*FASTEST, "data.train_per_class=20", "batch_size=25", "epochs=3", "freeze_epochs=0")
    rates = "optimizer.lr=1e-2,3e-3,1e-3,1e-7,1e+30"
    command = ("-m", *_HALVING, *small, rates, "seed=0,1")
    # Splits are replicates as seeds are.
    splits = ("-m", *_HALVING, *small, rates, "data.seed=0,1", "preview=true")
    assert "at least 16 and at most 16 epochs" in workplace.run("train.py", *splits).stdout
    preview = workplace.run("train.py", *command, "preview=true").stdout
    assert "at least 16 and at most 16 epochs" in preview
    done = workplace.run("train.py", *command)
    assert done.returncode == 1 and "2 of 10 jobs failed:" in done.stderr
    assert "rung 1 of 3, to epoch 1: 5 jobs" in done.stdout
    assert "in the place of those that failed: 1 jobs" in done.stdout
    assert "further replicates of the best, to the end: 2 jobs" in done.stdout
    runs = {
        (run.data.params["optimizer.lr"], run.data.params["seed"]): run
        for run in workplace.runs()
        if "optimizer.lr" in run.data.params
    }
    ends = {job: run.info.status for job, run in runs.items()}
    assert {ends.pop(("1e+30", seed)) for seed in ("0", "1")} == {"FAILED"}
    repeated = {rate for rate, seed in ends if seed == "1"}
    assert len(repeated) == 2 and len(ends) == 6
    for (rate, seed), status in ends.items():
        assert status == ("FINISHED" if rate in repeated else "KILLED"), (rate, seed)
    told = [text for run in runs.values() if (text := _told(run)[1])]
    words = r"dropped at epoch [12]: leads to [\d.]+ %, [\d.]+ points below lenet-freeze0-seed0 .*"
    assert len(told) == 2 and all(re.fullmatch(words, text) for text in told)
    [report] = workplace.folder.glob("multirun/*/*/report.md")
    assert "**2 further seeds, folds or splits were never begun**" in report.read_text()
    assert " points, leads to " in report.read_text()
    assert "**2 of 8 runs did not finish**" in report.read_text()
    preview = workplace.run("train.py", *command, "resume=true", "preview=true").stdout
    assert preview.count("leave out: not among the best") == 2
    assert "at least 16 and at most 16 epochs" in preview
    assert "total: 6 epochs left" in preview, "of the two that failed"

    killed = new_workplace()
    kill_after_epochs(killed, 7, *command)
    last = killed.run("train.py", *command, "hydra.sweeper.keep=paired", "resume=true")
    assert last.returncode == 1, last.stderr
    assert "goes on as it began, with rungs after epochs 1, 2 of 3; kept at each: " in last.stdout
    resumed = [run for run in killed.runs() if "optimizer.lr" in run.data.params]
    assert len(resumed) == len(runs)
    for run in resumed:
        twin = runs[run.data.params["optimizer.lr"], run.data.params["seed"]]
        assert _told(run) == _told(twin)
        assert history(killed.client, run) == history(workplace.client, twin)
        if run.info.status == "FINISHED":
            _require_equal(killed, run, workplace, twin)


def test_all_that_wait_for_a_rung_are_launched_at_once_and_the_next_where_one_fails(
    workplace: Workplace,
) -> None:
    jobs = [PlannedJob(f"job{number}", "", str(number)) for number in range(4)]
    folder = workplace.folder / "out"
    folder.mkdir()
    work = ExpectedJob("small", 9, 0, head_epochs=0, head_share=0.25, size=100)
    sweep = Sweep(
        open_store(workplace.store), folder, lock_of(folder), [], jobs, Repeats({}),
        AutoWeights({}), False, halving=Halving(HalvingConfig(), [3], 9),
        expected=Expected(dict.fromkeys("0123", work)),
        split=[[f"model={model}", f"seed={seed}"] for model in "ab" for seed in (0, 1)],
    )  # fmt: skip
    sweep.open()
    assert state.read_halving(folder) == sweep.halving
    race = Race(sweep)
    assert race.next_batch() == [0, 2]
    for number in (0, 2):
        note_outcome(folder, number, Outcome("", "failed"))
    assert race.next_batch() == [1, 3]


def _require_equal(place: Workplace, run: Run, other: Workplace, twin: Run) -> None:
    assert history(place.client, run) == history(other.client, twin)
    ours, theirs = (
        load_file(each.client.download_artifacts(of.info.run_id, "weights.safetensors"))
        for each, of in ((place, run), (other, twin))
    )
    assert all((ours[key] == theirs[key]).all() for key in theirs)


def test_a_race_ends_in_time_with_what_it_can_finish(workplace: Workplace) -> None:
    """Far more than there is time for, in two splits each."""
    rates = ",".join(f"{each}e-4" for each in range(2, 22))
    sizes = ("data.train_per_class=10", "batch_size=25", "epochs=2", "freeze_epochs=0")
    grid = (f"optimizer.lr={rates}", "data.seed=0,1", "hydra.sweeper.first_rung=1")
    done = workplace.run(
        "train.py", "-m", "hydra/sweeper=halving", *PLAIN, *sizes, *grid, "budget=20s"
    )
    assert done.returncode == 0, done.stderr
    assert "the budget of 20s was too short for some jobs (" in done.stdout
    assert "budget=40s" in done.stdout and " of the budget " in done.stderr
    runs = [run for run in workplace.runs() if "mlflow.parentRunId" in run.data.tags]
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}
    assert "FINISHED" in {run.info.status for run in runs}
    assert not any("budget" in run.data.params for run in runs)
    [report] = workplace.folder.glob("multirun/*/*/report.md")
    assert "**The budget of 20s was too short for some jobs** (" in report.read_text()


@pytest.mark.parametrize(
    ("override", "refusal"),
    [
        ("hydra.sweeper.eta=1", "hydra.sweeper.eta=1.0: must be from 1.1 to 100"),
        ("hydra.sweeper.keep=half", "hydra.sweeper.keep=half: choose from forecast, paired, sh"),
        ("hydra.sweeper.first_rung=3", "hydra.sweeper.first_rung=3: the first rung must lie"),
        ("data.test_fraction=0.1,0.2", "data.test_fraction=0.1,0.2: jobs are dropped by comparing"),
        ("budget=90", "budget=90: give a time with its unit: 90s, 30m, 1h, 1h30m\n"),
        ("epochs=3,4", "epochs=3,4: jobs are dropped by comparing them half way;"),
        ("stop_after=2", "stop_after=2: jobs pause at the rungs: see hydra.sweeper.first_rung\n"),
    ],
)
def test_what_cannot_be_a_race_is_refused(
    workplace: Workplace, override: str, refusal: str
) -> None:
    done = workplace.run("train.py", *COMMAND, override)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(refusal)
    assert not workplace.runs()
