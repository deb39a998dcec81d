"""How long a sweep will take: from the model, images and epochs of each job, and from what those
took that have ended."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from transfer.config.tune import head_epochs

if TYPE_CHECKING:
    from transfer.config import Config
    from transfer.job import Job
    from transfer.sweep.pace import Pace

# A backward pass takes twice a forward pass, and a frozen backbone needs none.
_HEAD_ALONE = 1 / 3
# With features that are stored the backbone is passed once.
_HEAD_ON_FEATURES = 0.02


class ExpectedJob(NamedTuple):
    """What is known of a job before it runs.

    Attributes:
        kind: jobs of one kind take as long for as much work.
        epochs: all of them.
        done: those that an earlier command has trained.
        head_epochs: the first ones, in which the head alone trains.
        head_share: what one of these takes, as a share of one of the others.
        size: work of one of the others, in multiply-accumulates of all training images.
        views: so many epochs of each sort, the first ones, store features, each those of another
            view.
    """

    kind: str
    epochs: int
    done: int
    head_epochs: int
    head_share: float
    size: float
    views: int = 1


class Running(NamedTuple):
    """A job that is not over: its number, and the epochs that are done."""

    number: int
    epochs: int


@dataclass(frozen=True)
class Expected:
    """The jobs of a sweep that train something.

    Attributes:
        jobs: by their numbers.
        at_once: how many run at the same time; 0 where nobody knows.
    """

    jobs: dict[str, ExpectedJob]
    at_once: int = 1

    def seconds_left(
        self, ended: Collection[int], pace: Pace, running: Running | None = None
    ) -> float | None:
        """Until the sweep is over; None where there is nothing to go by.

        Args:
            ended: the jobs that are over, by number.
            pace: what those took that have ended, and what that which runs has taken so far.
            running: one that is not over, where it alone runs.
        """
        if not self.at_once:
            return None
        left = list[float]()
        for number, job in self.jobs.items():
            if int(number) in ended:
                continue
            runs = running is not None and number == str(running.number)
            done = running.epochs if running is not None and runs else job.done
            seconds = pace.seconds(job, done, job.epochs, begun=runs)
            if seconds is None:
                return None
            left.append(seconds)
        if self.at_once == 1 or not left:
            return sum(left)
        # Those that run now are half done, by and large.
        beside = min(self.at_once, len(left))
        return (sum(left) - sum(left[:beside]) / 2) / beside


def last_epoch(config: Config) -> int:
    """As far as a job trains now."""
    return min(config.stop_after or config.epochs, config.epochs)


def expected_job(job: Job, done: int) -> ExpectedJob:
    """What a job that was made ready tells of its work, after the epochs that are done."""
    config = job.config
    cached = config.frozen_features == "cache"
    return ExpectedJob(
        kind=f"{config.model.name} {config.image_size} {config.tune} {config.frozen_features}",
        epochs=last_epoch(config),
        done=done,
        head_epochs=head_epochs(config),
        head_share=_HEAD_ON_FEATURES if cached else _HEAD_ALONE,
        size=float(job.macs * len(job.data.train)),
        views=max(config.feature_views, 1),
    )


def duration(seconds: float) -> str:
    """In the unit that fits: "80 s", "41 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
