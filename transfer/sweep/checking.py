"""What is to be seen while the jobs of a sweep are checked, before the first of them starts."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self, TypeVar

from transfer.system.bars import bar, lines_above

# So many are checked in a moment.
_FEW = 20
Item = TypeVar("Item")


class Checking:
    """A bar on stderr, gone when all are checked; where that is no terminal, one line for a sweep
    of more than a few jobs.

    Args:
        count: of the jobs.
    """

    def __init__(self, count: int) -> None:
        jobs = "1 job" if count == 1 else f"{count} jobs"
        self._bar = bar(desc=f"checking {jobs}", total=count)
        self._lines = ExitStack()
        if self._bar.disable and count > _FEW:
            print(f"checking {jobs}", file=sys.stderr, flush=True)

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """Pass on one item for each job; the bar goes with them, and with the last."""
        for item in items:
            yield item
            self._bar.update()
        self._bar.close()

    def __enter__(self) -> Self:
        self._lines.enter_context(lines_above(self._bar))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._bar.close()
