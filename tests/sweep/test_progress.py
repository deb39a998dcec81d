"""The time that a sweep still takes, and what is to be seen of it while it trains."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import sys
import termios
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import FASTEST, TINY, Sweep, Workplace
from transfer.sweep.budget import Budget
from transfer.sweep.checking import Checking
from transfer.sweep.expected import Expected, ExpectedJob, Running, duration
from transfer.sweep.outcomes import Outcome
from transfer.sweep.pace import Pace
from transfer.sweep.progress import JobProgress
from transfer.sweep.state import Rung, note, read_expected


def _job(kind: str = "small", done: int = 0, size: float = 100.0) -> ExpectedJob:
    return ExpectedJob(kind, 10, done, head_epochs=4, head_share=0.25, size=size)


def _ended(*jobs: ExpectedJob, head: float, full: float) -> Pace:
    """The pace of jobs that trained four epochs of the head and six more, and took a second to
    start and four beside their epochs in all."""
    pace = Pace(starts=[1.0])
    for job in jobs:
        epoch_s = [head] * 4 + [full] * 6
        pace.learn(job, Outcome("", "finished", "", "", sum(epoch_s) + 4, 1, epoch_s))
    return pace


def test_time_left_is_that_of_jobs_of_the_same_kind(tmp_path: Path) -> None:
    jobs = {"0": _job(), "1": _job(), "2": _job("large", size=1000), "4": _job(done=8)}
    expected = Expected(jobs)
    assert expected.seconds_left([], Pace()) is None
    small = _ended(jobs["0"], head=2.5, full=10.0)
    # Of the large kind nothing but its size is known: an epoch takes ten times as long.
    assert expected.seconds_left([0], small) == pytest.approx(74 + 704 + 24)
    # It turns out to be faster than its size tells.
    small.learn_epochs(jobs["2"], 1, [1.0] * 4 + [20.0] * 6)
    assert expected.seconds_left([0], small) == pytest.approx(74 + 128 + 24)
    assert expected.seconds_left([0, 2, 4], small) == pytest.approx(74)
    # Of one that runs, what is left of its epochs, and its end.
    assert expected.seconds_left([0, 1, 2], small, Running(4, 9)) == pytest.approx(10 + 3)
    note(tmp_path, expected)
    assert read_expected(tmp_path) == expected
    assert read_expected(tmp_path / "none") == Expected({})


def test_a_head_on_features_does_not_stretch_what_trains_more() -> None:
    """Its epochs are short beside its start and end."""
    head = _job("head cache")._replace(head_epochs=10, head_share=0.02)
    pace = Pace(starts=[1.0])
    pace.learn(head, Outcome("", "finished", "", "", 4.2, 1, [0.02] * 10))
    left = Expected({"0": head, "1": _job("all cache")}).seconds_left([0], pace)
    # An epoch of all is fifty times that of the head, one of its own heads a quarter of it.
    assert left == pytest.approx(4 + 4 * 0.25 + 6 * 1.0)


def test_time_left_of_jobs_that_run_beside_each_other() -> None:
    jobs = {str(number): _job() for number in range(6)}
    pace = _ended(jobs["0"], head=2.5, full=10.0)
    assert Expected(jobs, at_once=0).seconds_left([0], pace) is None
    # Four are left, two of which run and are half done: three are, for two at a time.
    assert Expected(jobs, at_once=2).seconds_left([0, 1], pace) == pytest.approx(111)
    assert Expected(jobs, at_once=4).seconds_left(range(5), pace) == pytest.approx(37)


def test_durations() -> None:
    assert [duration(s) for s in (4.4, 600, 9000)] == ["4 s", "10 min", "2.5 h"]


class _Epoch(NamedTuple):
    number: int


def test_no_epoch_begins_for_which_there_is_no_time(tmp_path: Path) -> None:
    note(tmp_path, Pace(ends={"small": [60.0]}))

    def trained(job: ExpectedJob, takes: float, budget: float, stop_after: int | None) -> int:
        """How many epochs."""
        for each in (Expected({"0": job}), Rung(stop_after), Budget(budget, 0, time.time(), 0)):
            note(tmp_path, each)
        epochs = (time.sleep(takes) or _Epoch(number) for number in range(1, job.epochs + 1))
        return len(list(JobProgress(tmp_path, 0).watch(epochs)))

    job = _job()._replace(epochs=4, head_epochs=0)
    assert trained(job, 0.5, budget=0.9, stop_after=4) == 1
    assert trained(job, 0.01, budget=30, stop_after=4) == 4
    assert trained(job, 0.01, budget=30, stop_after=None) == 3, "its test takes a minute"
    slower = job._replace(head_epochs=2, head_share=1e-4)
    assert trained(slower, 0.01, budget=30, stop_after=4) == 2, "more than the head trains next"


def test_without_a_terminal_each_job_ends_with_a_line(
    two_seeds: Sweep, after_two_seeds: Workplace
) -> None:
    first = two_seeds.process
    lines = [line for line in first.stderr.splitlines() if line.startswith("job ")]
    assert len(lines) == 2 and lines[0].startswith("job 1 of 2 ended, ")
    assert lines[0].endswith(" s left") and lines[1] == "job 2 of 2 ended"
    assert "checking" not in first.stderr and "sweep:" not in first.stderr
    # What is finished counts, and is not told again; what is left out does not.
    again = after_two_seeds.run("train.py", "-m", *FASTEST, *TINY, "seed=0,1,2,1", "resume=true")
    assert again.returncode == 0, again.stderr
    told = [line for line in again.stderr.splitlines() if line.startswith("job ")]
    assert told == ["job 3 of 3 ended"]


def test_in_a_terminal_a_bar_counts_the_epochs_of_all_jobs(workplace: Workplace) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    process = workplace.start("-m", *FASTEST, *TINY, "seed=0,1", stdout=theirs)
    os.close(theirs)
    shown = b""
    with pytest.raises(OSError):  # As Linux says that the other end is closed.
        while True:
            shown += os.read(ours, 65536)
    os.close(ours)
    assert process.wait() == 0
    text = shown.decode()
    assert "checking 2 jobs" in text
    for done in ("1/4", "2/4", "3/4", "4/4"):
        assert f"{done} epochs, " in text
    assert "sweep: job 1 of 2  25%|" in text and "sweep: job 2 of 2  75%|" in text
    assert " s left" in text and "ended" not in text
    # When all is over, no bar is left, and each epoch has its line.
    lines = _screen(text)
    assert sum(line.startswith("epoch   ") and line.endswith(" s") for line in lines) == 4
    assert not [line for line in lines if "sweep:" in line or "checking" in line or "|" in line]


def test_remarks_on_the_images_go_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, terminal)
    monkeypatch.setattr(logging.root, "handlers", [logging.StreamHandler(terminal)])
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    with Checking(3) as checking:
        for number in checking.each(range(3)):
            logging.warning("a remark on %d", number)
    assert "checking 3 jobs:  33%" in terminal.getvalue()
    shown = _screen(terminal.getvalue())
    assert [line for line in shown if line] == [f"a remark on {number}" for number in range(3)]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _screen(text: str) -> list[str]:
    """What a terminal has on it in the end."""
    rows, row, column = [list[str]()], 0, 0
    for each in re.findall(r"\x1b\[A|[^\x1b]", text):
        if each == "\x1b[A":
            row -= 1
        elif each == "\r":
            column = 0
        elif each == "\n":
            row += 1
            rows += [[]] * (row == len(rows))
        else:
            line = rows[row] = [*rows[row], *" " * (column + 1 - len(rows[row]))]
            line[column] = each
            column += 1
    return ["".join(each).rstrip() for each in rows]
