"""How long a sweep will take: from the model, images and epochs of each job, and from what those
took that have ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from transfer.config.tune import head_epochs

if TYPE_CHECKING:
    from transfer.config import Config
    from transfer.job import Job

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

    def work(self, first: int, last: int) -> float:
        """What the epochs after `first` take, up to `last`."""
        head = min(last, self.head_epochs) - min(first, self.head_epochs)
        return self.size * (last - first - head * (1 - self.head_share))


class Running(NamedTuple):
    """A job that is not over: its number, its epochs so far, and seconds since its start."""

    number: int
    epochs: int
    seconds: float


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
        self, ended: Mapping[int, float | None], running: Running | None = None
    ) -> float | None:
        """Until the sweep is over; None where there is nothing to go by.

        Args:
            ended: of each job that is over, by number, the seconds it took; None where they say
                nothing, for it failed.
            running: one that is not over, where it alone runs.
        """
        spent = dict[str, tuple[float, float]]()

        def learn(job: ExpectedJob, last: int, seconds: float) -> None:
            before, work = spent.get(job.kind, (0.0, 0.0))
            spent[job.kind] = (before + seconds, work + job.work(job.done, last))

        for number, seconds in ended.items():
            job = self.jobs.get(str(number))
            if job is not None and seconds is not None and job.done < job.epochs:
                learn(job, job.epochs, seconds)
        if running is not None:
            learn(self.jobs[str(running.number)], running.epochs, running.seconds)
        rates = {kind: seconds / work for kind, (seconds, work) in spent.items() if work}
        if not rates or not self.at_once:
            return None
        # Of a kind that none has ended of, the mean over the others.
        other = sum(rates.values()) / len(rates)
        left = [
            job.work(
                running.epochs if running and number == str(running.number) else job.done,
                job.epochs,
            )
            * rates.get(job.kind, other)
            for number, job in self.jobs.items()
            if int(number) not in ended
        ]
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
