"""Jobs that a launcher runs in a batch of their own, and that keep the numbers of their sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self


class JobNumbers(int):
    """The first of some jobs' numbers, to which launchers add a job's place in their batch: gives
    the number that the job has in the sweep, and with it its folder, in every batch."""

    _numbers: Sequence[int]

    def __new__(cls, numbers: Sequence[int]) -> Self:
        made = super().__new__(cls, numbers[0])
        made._numbers = numbers
        return made

    def __add__(self, place: int) -> int:
        return self._numbers[place]
