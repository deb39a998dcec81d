"""How far a sweep has come: beside the bar of an epoch one for all jobs, or where stderr is no
terminal, or several jobs run at once, a line for each that ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from transfer.sweep.expected import ExpectedJob, Running, duration
from transfer.sweep.outcomes import read_outcomes
from transfer.sweep.pace import Pace
from transfer.sweep.state import read_budget, read_expected, read_pace, read_rung, show_life
from transfer.system.bars import bar, lines_above

if TYPE_CHECKING:
    from tqdm import tqdm

_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} epochs{postfix}"


class JobProgress:
    """What is to be seen of the sweep while one of its jobs runs, and when it has ended.

    Args:
        folder: of the sweep.
        number: of the job.

    Attributes:
        first_epoch: the first that it has trained, from 1; 0 before.
        epoch_s: seconds of each epoch from that one on.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder, self._number = folder, number
        self._expected = read_expected(folder)
        self._budget = read_budget(folder)
        # What other jobs have told; and whether this one is going to be tested, or to pause.
        self._pace = read_pace(folder)
        self._to_its_end = read_rung(folder).stop_after is None
        self._start = time.monotonic()
        self.first_epoch, self.epoch_s = 0, list[float]()
        self._shown = ExitStack()
        self._bar: tqdm[Any] | None = None
        # Of a sweep whose jobs are chosen as it goes nobody knows the end.
        if str(number) in self._expected.jobs:
            self._show()

    def _show(self) -> None:
        jobs, number = self._expected.jobs, str(self._number)
        self._ended, self._told = self._read_ended()
        # Each of the others as far as it is.
        self._before = sum(
            each.epochs if int(other) in self._ended else each.done
            for other, each in jobs.items()
            if other != number
        )
        shown = bar(
            desc=f"sweep: job {len(self._ended) + 1} of {len(jobs)}",
            total=sum(each.epochs for each in jobs.values()),
            initial=self._before + jobs[number].done,
            bar_format=_FORMAT,
        )
        if not shown.disable:
            self._bar = self._shown.enter_context(shown)
            self._shown.enter_context(lines_above(shown))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._shown.close()

    @property
    def seconds(self) -> float:
        """Since the job began."""
        return time.monotonic() - self._start

    def watch(self, epochs: Iterable[Any]) -> Iterator[Any]:
        """Pass on the epochs of the job, and move the bar with each that was dealt with; no more of
        them where the sweep's time is up."""
        before = time.monotonic()
        for epoch in epochs:
            yield epoch
            now = time.monotonic()
            self.first_epoch = self.first_epoch or epoch.number
            self.epoch_s.append(now - before)
            before = now
            self._move(epoch.number)
            if self._time_is_up(epoch.number):
                return

    def _time_is_up(self, number: int) -> bool:
        """Whether the job has to pause after this epoch, for there is no time for the next one, or
        none at all; not where the job is nearly done."""
        if self._budget is None:
            return False
        show_life(self._folder)
        job, left = self._expected.jobs.get(str(self._number)), self._budget.left
        room = max(left + self._budget.slack, 0.0)
        if job is None:
            return left <= 0 or self.epoch_s[-1] > room
        to_go = job.epochs - number
        if to_go <= 0:
            return False
        following = self._following_s(job, number)
        end = self._pace.end(job) if self._to_its_end else 0.0
        if left <= 0:
            return to_go * following + end > room
        return following + (end if to_go == 1 else 0.0) > room

    def _following_s(self, job: ExpectedJob, number: int) -> float:
        """Seconds of the epoch after this one."""
        if number != job.head_epochs:
            return self.epoch_s[-1]
        # It is the first to train more than the head.
        known = self._pace.epoch(job)
        return self.epoch_s[-1] / job.head_share if known is None else known[0]

    def _move(self, number: int) -> None:
        """To the end of this epoch, counted from 1."""
        if self._bar is None:
            return
        pace = deepcopy(self._told)
        pace.learn_epochs(self._expected.jobs[str(self._number)], self.first_epoch, self.epoch_s)
        running = Running(self._number, number)
        left = self._expected.seconds_left(self._ended, pace, running)
        if left is not None:
            text = f"{duration(left)} left"
            if self._budget is not None:
                text += f", of the budget {duration(max(self._budget.left, 0.0))}"
            self._bar.set_postfix_str(text, refresh=False)
        self._bar.n = self._before + number
        self._bar.refresh()

    def job_ended(self) -> None:
        """Say so where there is no bar, once the job's outcome is noted."""
        job = self._expected.jobs.get(str(self._number))
        if job is None or job.done == job.epochs or self._bar is not None:
            return
        ended, told = self._read_ended()
        line = f"job {len(ended)} of {len(self._expected.jobs)} ended"
        left = self._expected.seconds_left(ended, told)
        if left:
            line += f", {duration(left)} left"
        if self._budget is not None:
            line += f"; of the budget {duration(max(self._budget.left, 0.0))}"
        print(line, file=sys.stderr, flush=True)

    def _read_ended(self) -> tuple[set[int], Pace]:
        """The jobs that are over, and what is known of the pace with what those took."""
        jobs, pace = self._expected.jobs, read_pace(self._folder)
        ended = {
            int(number)
            for number, job in jobs.items()
            if job.done == job.epochs and int(number) != self._number
        }
        for number, outcome in read_outcomes(self._folder).items():
            if str(number) in jobs:
                ended.add(number)
                pace.learn(jobs[str(number)], outcome)
        return ended, pace
