"""What the schema declares of a key beside its name and type, and the loops' way through it."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """One choice, as its field's metadata holds it.

    Attributes:
        default: the value where nothing else is said; MISSING where there is none.
        low, high: bounds that belong to the range; of each number where the value is a list.
        above, below: bounds that do not.
        off: one more value, outside the bounds, that turns it off.
        choices: the only values, where they are words.
        length: of a list.
        unit: in which a number counts.
        identity: whether it is part of a result's identity; a value that differs from the default
            then names another result.
        compared: whether a report compares runs by it.
    """

    default: Any
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    off: float | None = None
    choices: Sequence[str] = ()
    length: int | None = None
    unit: str = ""
    identity: bool = True
    compared: bool = True

    def allows(self, number: float) -> bool:
        """Whether a number is finite and within the bounds, or turns the key off."""
        return number == self.off or (
            abs(number) < float("inf")
            and (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    @property
    def range(self) -> str:
        """The bounds in words: "from 0 to 1", "above 0 and at most 1", "at least 2 images"."""
        if self.low is not None and self.low == self.high:
            words = f"{self.low}"
        elif self.low is not None and self.high is not None:
            words = f"from {self.low} to {self.high}"
        else:
            bounds = (
                ("at least", self.low),
                ("above", self.above),
                ("at most", self.high),
                ("below", self.below),
            )
            words = " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
        off = "" if self.off is None else f"{self.off} (off), or "
        # At least 1 image, or 2 images.
        unit = self.unit.removesuffix("s") if words.endswith(" 1") else self.unit
        return f"{off}{words} {unit}".rstrip()


def key(default: Any, **declared: Any) -> Any:
    """A field of the schema; `declared` as in Key."""
    metadata = {"key": Key(default, **declared)}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.copy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Key, Any]]:
    """Every key below a dataclass of the schema: its dotted name, declaration and value."""
    for each in fields(node):
        name, value = f"{prefix}{each.name}", getattr(node, each.name)
        if is_dataclass(value):
            yield from leaves(value, f"{name}.")
        elif "key" in each.metadata:
            yield name, each.metadata["key"], value
