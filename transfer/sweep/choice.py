"""What `experiment=choose` has decided to train: kept in the sweep's folder, so that a command that
goes on with it does the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """A grid that fits the time.

    Attributes:
        jobs: what chooses each configuration, beside what was typed for all of them.
        told: the plan for people, line by line.
        planned: seconds of an epoch, of one that trains the head alone, and of a job's end, by its
            kind, as `Pace` has them.
    """

    jobs: Sequence[Sequence[str]]
    told: Sequence[str]
    planned: Mapping[str, Sequence[float]]
