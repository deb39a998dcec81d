"""Things that share a name belong together, and so do things of things."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

Thing = TypeVar("Thing")


def join(things: Sequence[Thing], names: Sequence[Sequence[Hashable]]) -> list[list[Thing]]:
    """Groups of things that are linked by names which they share, in order of appearance.

    Args:
        names: of each thing.
    """
    leader = list(range(len(things)))

    def find(index: int) -> int:
        while leader[index] != index:
            leader[index] = leader[leader[index]]
            index = leader[index]
        return index

    first: dict[Hashable, int] = {}
    for index, own in enumerate(names):
        for name in own:
            one, other = find(index), find(first.setdefault(name, index))
            leader[max(one, other)] = min(one, other)
    groups: dict[int, list[Thing]] = {}
    for index, thing in enumerate(things):
        groups.setdefault(find(index), []).append(thing)
    return list(groups.values())
