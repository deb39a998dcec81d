"""Bars of progress on stderr: quiet where that is no terminal, or one that other processes write
to."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

_silent = False


def silence_bars() -> None:
    """Show none in this process from now on: several beside each other would be garbled."""
    global _silent  # noqa: PLW0603
    _silent = True


def bar(items: Iterable[Any] | None = None, **options: Any) -> tqdm[Any]:
    """A bar that is gone when it is over; as tqdm's in all else.

    Args:
        items: what it goes along with; None where it is told.
        options: of tqdm, such as `desc` and `total`.
    """
    # Imported here, for --help is answered without it.
    from tqdm import tqdm

    return tqdm(items, leave=False, disable=True if _silent else None, **options)


def lines_above(shown: tqdm[Any]) -> AbstractContextManager[None]:
    """A context in which what is logged goes above this bar, if it is to be seen at all."""
    if shown.disable:
        return nullcontext()
    from tqdm.contrib.logging import logging_redirect_tqdm

    return logging_redirect_tqdm()
