"""What `experiment=choose` has decided to train: kept in the sweep's folder, so that a command that
goes on with it does the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Attempt(NamedTuple):
    """A configuration that is trained.

    Attributes:
        candidate: its place in the menu.
        kind, overrides, handicap: its tuning, as `transfer.sweep.choose.tunings.Tuning` has them.
        jobs: what chooses each of its jobs, beside what was typed for all.
    """

    candidate: int
    kind: str
    overrides: Sequence[str]
    handicap: float
    epochs: int
    jobs: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Choice:
    """A grid that fits the time, and what was tried after it.

    Attributes:
        jobs: what chooses each job of the grid, beside what was typed for all of them.
        told: the plan for people, line by line.
        planned: seconds of an epoch, of one that trains the head alone, and of a job's end, by its
            kind, as `Pace` has them.
        grid: the configurations whose jobs these are, in their order.
        menu: what else may be tried, as `transfer.sweep.choose.menu.Menu` writes it.
        first_rung: of the race, in epochs.
        tried: what was tried after the race, in order.
        spent: by commands that ended before they had decided, in seconds.
        candidates: what chooses each of all that there were, by its name.
        hopeless: the names of those that the screen has dropped.
    """

    jobs: Sequence[Sequence[str]]
    told: Sequence[str]
    planned: Mapping[str, Sequence[float]]
    grid: Sequence[Attempt] = field(default_factory=list)
    menu: Mapping[str, Any] = field(default_factory=dict)
    first_rung: int | None = None
    tried: Sequence[Attempt] = field(default_factory=list)
    spent: float = 0.0
    candidates: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hopeless: Sequence[str] = field(default_factory=list)

    def untrained(self, begun: Sequence[Sequence[str]]) -> list[str]:
        """The names of candidates that were not dropped, and of which nothing was trained.

        Args:
            begun: the overrides of each job that was.
        """
        return [
            name
            for name, chosen in self.candidates.items()
            if name not in self.hopeless and not any(set(chosen) <= set(each) for each in begun)
        ]
