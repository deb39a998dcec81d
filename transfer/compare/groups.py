"""Items that share a name belong together, and so do those of theirs."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def join(items: Sequence[Item], names: Sequence[Sequence[Hashable]]) -> list[list[Item]]:
    """Groups of items that are linked by names which they share, in order of appearance.

    Args:
        names: of each item.
    """
    leader = list(range(len(items)))

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
    groups: dict[int, list[Item]] = {}
    for index, item in enumerate(items):
        groups.setdefault(find(index), []).append(item)
    return list(groups.values())
