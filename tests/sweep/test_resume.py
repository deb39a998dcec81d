"""What a killed sweep leaves, and what `resume=true` makes of it: real processes, really killed."""

from __future__ import annotations

import errno
import shlex
import signal
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from safetensors.torch import load_file

from tests.conftest import (
    FASTEST,
    PLAIN,
    ROOT,
    TIMED,
    TINY,
    Sweep,
    Workplace,
    children,
    without_locks,
)
from transfer.tracking.find import KEPT_FOR


def kill_after_epochs(
    workplace: Workplace, count: int, *arguments: str, by: signal.Signals = signal.SIGKILL
) -> tuple[int, str]:
    """Start train.py and signal it as soon as it has printed `count` epochs.

    Returns:
        Its exit status, and what it wrote to the standard error.
    """
    process = workplace.start(*arguments)
    assert process.stdout is not None
    for line in process.stdout:
        count -= line.startswith("epoch")
        if count <= 0:
            break
    process.send_signal(by)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def history(client: MlflowClient, run: Run) -> dict[str, list[tuple[int, float]]]:
    """Every point of every metric that no clock decides."""
    return {
        name: [
            (point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)
        ]
        for name in run.data.metrics
        if not name.startswith(TIMED)
    }


def test_a_sweep_killed_twice_ends_as_if_undisturbed(sweep: Sweep, workplace: Workplace) -> None:
    # Of the sweep of the contract the jobs of one model: the proof of kills has two.
    command = (*sweep.command[1:], "model=mobilenet_v3_small", "resume=true")
    # Between two epochs of the first job, and then of the second, once the first is finished.
    for epochs in (1, 2):
        kill_after_epochs(workplace, epochs, *command)
    statuses = [run.info.status for run in workplace.runs()]
    assert statuses.count("RUNNING") == 2, "the run and the sweep that were killed"
    last = workplace.run("train.py", *command)
    assert last.returncode == 0, last.stderr
    assert last.stdout.count("finished before") == 1
    runs = workplace.runs()
    assert len(runs) == 3
    assert {run.info.status for run in runs} == {"FINISHED"}
    undisturbed = children(sweep.workplace)
    resumed = children(workplace)
    assert set(resumed) == {name for name in undisturbed if name.startswith("mobilenet")}
    for name, run in resumed.items():
        twin = undisturbed[name]
        assert history(workplace.client, run) == history(sweep.workplace.client, twin)
        ours, theirs = (
            load_file(place.client.download_artifacts(each.info.run_id, "weights.safetensors"))
            for place, each in ((workplace, run), (sweep.workplace, twin))
        )
        assert all((ours[key] == theirs[key]).all() for key in theirs)
        assert not list(workplace.folder.glob("multirun/*/*/*/checkpoints"))
    reports = sorted(workplace.folder.glob("multirun/*/*/report.md"))
    assert "2 configurations, 2 runs" in reports[-1].read_text()


def test_an_interrupted_sweep_reports_what_is_done(workplace: Workplace) -> None:
    """By Ctrl-C; SIGTERM ends the sweep of workers in their test."""
    command = ("-m", *PLAIN, "seed=0,1,2", *TINY, "epochs=15")
    status, errors = kill_after_epochs(workplace, 17, *command, by=signal.SIGINT)
    assert status == 130, errors
    assert "Traceback" not in errors
    typed = shlex.join([sys.executable, "-u", str(ROOT / "train.py"), *command])
    assert errors.strip().splitlines()[-1] == f"{typed} resume=true"
    assert sorted(run.info.status for run in workplace.runs()) == ["FINISHED", "KILLED", "KILLED"]
    [report] = workplace.folder.glob("multirun/*/*/report.md")
    text = report.read_text()
    assert "1 configuration," in text and "## Not finished" in text and "NOT STARTED" in text
    preview = workplace.run("train.py", *command, "resume=true", "preview=true")
    states = [line.split()[1] for line in preview.stdout.splitlines() if "seed" in line]
    assert states == ["skip:", "go", "train"]


def test_on_a_disk_without_locks_a_killed_run_goes_on(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_locks(tmp_path / "modules", monkeypatch, errno.ENOLCK)
    command = ("-m", *PLAIN, *TINY, "epochs=15")
    kill_after_epochs(workplace, 3, *command)
    assert len(list(workplace.folder.glob("multirun/*/*/**/lock.held"))) == 2
    process = workplace.run("train.py", *command, "resume=true")
    assert process.returncode == 0, process.stderr
    assert "going on after epoch" in process.stdout
    assert {run.info.status for run in workplace.runs()} == {"FINISHED"}
    assert len(children(workplace)) == 1
    assert not list(workplace.folder.glob("**/*.held"))


def test_what_other_sweeps_finished_counts_in_the_report(after_two_seeds: Workplace) -> None:
    workplace = after_two_seeds
    wider = workplace.run("train.py", "-m", *FASTEST, "seed=1,2", *TINY, "resume=true")
    assert wider.returncode == 0, wider.stderr
    assert wider.stdout.count("finished before") == 1
    runs = children(workplace)
    assert len(runs) == 3
    # Its own sweep must not take its weights any more.
    wide = runs["lenet-freeze1-seed2"].data.tags["mlflow.parentRunId"]
    kept = {name: run.data.tags.get(KEPT_FOR) for name, run in runs.items()}
    assert {name for name, sweep in kept.items() if sweep == wide} == {"lenet-freeze1-seed1"}
    report = sorted(workplace.folder.glob("multirun/*/*/report.md"))[-1].read_text()
    assert "1 configuration, 2 runs" in report


def test_the_preview_says_what_resume_would_do(after_two_seeds: Workplace) -> None:
    workplace = after_two_seeds
    before = len(workplace.runs())
    asked = ("seed=1,2", "select_by=acc,loss", "preview=true")
    process = workplace.run("train.py", "-m", *FASTEST, *TINY, *asked)
    assert process.returncode == 0, process.stderr
    lines = [line.split() for line in process.stdout.splitlines() if line.startswith("lenet")]
    # By what was typed where the run's name does not tell.
    assert [line[:3] for line in lines] == [
        ["lenet-freeze1-seed1", "select_by=acc", "skip:"],
        ["lenet-freeze1-seed1", "select_by=loss", "train"],
        ["lenet-freeze1-seed2", "select_by=acc", "train"],
        ["lenet-freeze1-seed2", "select_by=loss", "train"],
    ]
    assert "total: 6 epochs left" in process.stdout
    assert len(workplace.runs()) == before


def test_without_resume_the_same_command_runs_again(workplace: Workplace) -> None:
    for _ in range(2):
        assert workplace.run("train.py", *FASTEST, *TINY).returncode == 0
    assert len(workplace.runs()) == 2


@pytest.mark.parametrize("mode", [(), ("-m",)])
def test_a_run_that_another_process_trains_is_left_to_it(
    workplace: Workplace, mode: tuple[str, ...]
) -> None:
    command = (*PLAIN, *TINY, "epochs=2000", "freeze_epochs=0")
    process = workplace.start(*mode, *command)
    try:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch"):
            pass
        second = workplace.run("train.py", *mode, *command, "resume=true")
    finally:
        process.kill()
        process.wait()
    assert second.returncode == 2
    assert second.stderr.startswith("resume=true: ")
    assert "wait for it" in second.stderr
