"""What a sweep that chooses may try next, and what tells one configuration from another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transfer.sweep.choose.tunings import Tuning

# The place of a candidate in the menu, and what chooses its tuning.
Name = tuple[int, tuple[str, ...]]


class Option(NamedTuple):
    """A tuning of a candidate, by its place in the menu, over so many epochs."""

    place: int
    tuning: Tuning
    epochs: int

    @property
    def name(self) -> Name:
        return name_of(self.place, self.tuning.overrides)


class Unfinished(NamedTuple):
    """Jobs of a configuration that are part of the sweep, and were not trained to their end."""

    epochs: int
    numbers: Sequence[int]


def name_of(place: int, overrides: Sequence[str]) -> Name:
    """What a configuration is known by, over any number of epochs: 2e-3 is 0.002."""
    return place, tuple(map(_plain, overrides))


def _plain(override: str) -> str:
    key, _, value = override.partition("=")
    try:
        return f"{key}={float(value)!r}"
    except ValueError:
        return override
