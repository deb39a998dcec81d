"""By which measure configurations are ordered and compared: the one that they were selected by."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from transfer.compare.statistics import Interval, Over
from transfer.tracking.run_record import RunRecord


@dataclass(frozen=True)
class Criterion:
    """A measure of test images, and the same of validation images.

    Attributes:
        name: as `select_by` calls it: acc, balanced_acc or loss.
        sign: 1 where more is better, -1 where less is.
    """

    name: str
    sign: int = 1

    @property
    def test(self) -> str:
        """The metric of the test images."""
        return f"test/{self.name}"

    @property
    def validation(self) -> str:
        """The metric of the best epoch on the validation images."""
        return f"best/val_{self.name}"

    @property
    def tie_break(self) -> "Criterion":
        """What orders those that are equal by it: few validation images leave many so."""
        return CRITERIA["acc" if self.name == "loss" else "loss"]

    def difference(self, mean: float, half: float, over: Over) -> Interval:
        """A difference of two with its interval, this far to either side; shares differ by 1 at
        most."""
        most = 1.0 if self.sign > 0 else math.inf
        return Interval(mean, max(mean - half, -most), min(mean + half, most), over)


CRITERIA = {
    each.name: each
    for each in (Criterion("acc"), Criterion("balanced_acc"), Criterion("loss", sign=-1))
}


def criterion_of(runs: Iterable[RunRecord]) -> Criterion:
    """The measure that all of these runs were selected by; accuracy where they were not alike."""
    chosen = {run.params.get("select_by", "acc") for run in runs}
    return CRITERIA[chosen.pop()] if len(chosen) == 1 else CRITERIA["acc"]
