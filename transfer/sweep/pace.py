"""How long the jobs of a sweep take on this machine, from those of it that ran.

Apart from its epochs a job takes a while to start and to end, which many short ones feel. Of its
epochs the first is slow: images are decoded then, and features stored, those of each view in an
epoch of its own. So these tell of the others only where there is no other.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transfer.sweep.expected import ExpectedJob
    from transfer.sweep.outcomes import Outcome

# Until one has ended: starting a job; and testing it as well, measuring its latency and drawing its
# curves.
_START_S, _END_S = 1.0, 3.0
_END_STARTS = 2.5
_MOST_KEPT = 20
# How the kinds end whose networks see each image once; what trains all of one sees it again.
_STORED = tuple(f"{tune} cache" for tune in ("head", *(f"last:{count}" for count in range(1, 10))))


@dataclass
class Pace:
    """What was measured; grows with each outcome.

    Attributes:
        epochs: seconds of an epoch that trains more than the head, a list by the job's kind.
        head_epochs: likewise of one that trains the head alone.
        sizes, head_sizes: the work of one of either, by kind.
        starts: seconds that jobs took beside their epochs until they paused.
        ends: likewise, of those that finished, by kind.
        planned: until they are measured, what an epoch of either sort and an end were planned to
            take, by kind.
    """

    epochs: dict[str, list[float]] = field(default_factory=dict)
    head_epochs: dict[str, list[float]] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    head_sizes: dict[str, float] = field(default_factory=dict)
    starts: list[float] = field(default_factory=list)
    ends: dict[str, list[float]] = field(default_factory=dict)
    planned: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def learn(self, job: ExpectedJob, outcome: Outcome) -> None:
        """Take note of how a job of this sweep ended."""
        took = list(outcome.epoch_s)
        if not took or outcome.status not in ("paused", "finished"):
            return
        self.learn_epochs(job, outcome.first_epoch, took)
        paused = outcome.status == "paused"
        beside = self.starts if paused else self.ends.setdefault(job.kind, [])
        beside.append(max(outcome.seconds - sum(took), 0.0))
        del beside[:-_MOST_KEPT]

    def learn_epochs(self, job: ExpectedJob, first: int, took: Sequence[float]) -> None:
        """Take note of the seconds of a job's epochs, from its epoch `first` on."""
        self.sizes[job.kind] = job.size
        self.head_sizes[job.kind] = job.size * job.head_share
        alone = max(min(job.head_epochs - first + 1, len(took)), 0)
        for seconds, known in ((took[:alone], self.head_epochs), (took[alone:], self.epochs)):
            # The first are slow, of either phase; where there is no other, a plan knows better.
            if len(seconds) > job.views or (seconds and job.kind not in self.planned):
                others = seconds[job.views :] or seconds
                known.setdefault(job.kind, []).append(statistics.median(others))
                del known[job.kind][:-_MOST_KEPT]

    def learn_batch(
        self,
        jobs: Mapping[str, ExpectedJob],
        outcomes: Mapping[int, Outcome],
        numbers: Iterable[int],
    ) -> None:
        """Take note of how the jobs of a batch ended, those that have.

        Args:
            jobs: of the sweep, by their numbers, as `Expected` has them.
            numbers: of the batch.
        """
        for number in sorted(outcomes.keys() & set(numbers)):
            self.learn(jobs[str(number)], outcomes[number])

    def seconds(
        self, job: ExpectedJob, first: int, last: int, *, begun: bool = False
    ) -> float | None:
        """What a job is going to take from the end of its epoch `first` to that of `last`, with its
        start unless it has begun, and its end where that is its last; None where nothing is known
        of any job."""
        if first >= last:
            return 0.0
        known = self.epoch(job)
        if known is None:
            return None
        ends = last >= job.epochs
        start = _median(self.starts) or _START_S
        beside = self._end(job.kind, start) if ends else start
        if begun:
            beside = max(beside - start, 0.0)
        alone = max(min(last, job.head_epochs) - first, 0)
        full, head = known
        return beside + alone * head + (last - first - alone) * full

    def end(self, job: ExpectedJob) -> float:
        """What a job takes after its last epoch: it is tested, and its latency is measured."""
        start = _median(self.starts) or _START_S
        return max(self._end(job.kind, start) - start, 0.0)

    def _end(self, kind: str, start: float) -> float:
        """What a job that starts and ends takes beside its epochs, where to start takes so long."""
        usual, known = max(_END_S, _END_STARTS * start), self.ends.get(kind, [])
        if known and kind.endswith(_STORED):
            # The first of them has stored what the test images gave.
            return _median(known[1:]) or min(known[0], usual)
        if known:
            return _median(known) or 0.0
        if kind in self.planned:
            return start + self.planned[kind][2]
        return max((_median(each) or 0.0 for each in self.ends.values()), default=usual)

    def epoch(self, job: ExpectedJob) -> tuple[float, float] | None:
        """Seconds of an epoch of a job, and of one that trains its head alone; None where nothing
        is known of any job."""
        full = _median(self.epochs.get(job.kind, []))
        head = _median(self.head_epochs.get(job.kind, []))
        if planned := self.planned.get(job.kind):
            full = planned[0] if full is None else full
            head = planned[1] if head is None else head
        if full is None:
            # By its work, from others that were measured.
            rates = _rates(self.epochs, self.sizes) or _rates(self.head_epochs, self.head_sizes)
            if not rates:
                return None
            full = max(rates) * job.size
        return full, full * job.head_share if head is None else head


def _rates(epochs: Mapping[str, list[float]], sizes: Mapping[str, float]) -> list[float]:
    """Seconds of an epoch for a unit of its work, of each kind that was measured."""
    return [
        (_median(taken) or 0.0) / sizes[kind] for kind, taken in epochs.items() if sizes.get(kind)
    ]


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None
