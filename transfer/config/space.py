"""What a search chooses from: the values of each swept key, by Hydra's own grammar."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep

from transfer.config.schema import KEYS
from transfer.system.errors import ConfigError

# A number between two bounds keeps so many digits: the rest tells nobody anything.
_DIGITS = 4
_LOG = "log"
# Of a range, to see that it has a second value.
_TWO = 2


@dataclass(frozen=True)
class Numbers:
    """The numbers from `low` to `high`, both included.

    Attributes:
        step: the distance between two of them; None where any will do.
        log: whether equal ratios are equally far apart, and not equal differences.
        whole: whether they are integers.
    """

    low: float
    high: float
    step: float | None
    log: bool
    whole: bool

    def text(self, value: float) -> str:
        """A number as it is typed; between two bounds with four digits, and within the bounds."""
        if self.whole:
            return str(round(value))
        scale = self.high - self.low
        if self.log:
            scale = min(scale, value)
        if scale > 0:
            value = round(value, _DIGITS - 1 - math.floor(math.log10(scale)))
        return repr(float(min(max(value, self.low), self.high)))

    @property
    def examples(self) -> Sequence[str]:
        """Both ends."""
        return self.text(self.low), self.text(self.high)

    @property
    def count(self) -> float:
        """How many there are; infinity where any will do."""
        return math.inf if self.step is None else round((self.high - self.low) / self.step) + 1

    def __str__(self) -> str:
        low, high = self.examples
        steps = f", in steps of {self.step:g}" if self.step not in (None, 1) else ""
        whole = ", whole numbers" if self.whole and not steps else ""
        return f"{low} to {high}{steps}{whole}{', logarithmic' if self.log else ''}"


@dataclass(frozen=True)
class Choice:
    """Values without an order, as they are typed."""

    values: Sequence[str]

    @property
    def examples(self) -> Sequence[str]:
        """All of them."""
        return self.values

    @property
    def count(self) -> float:
        return len(self.values)

    def __str__(self) -> str:
        return ", ".join(self.values)


@dataclass(frozen=True)
class Space:
    """What a search chooses, and what all of its trials have in common.

    Attributes:
        dimensions: by the key, in the order in which they were typed.
        fixed: overrides.
    """

    dimensions: Mapping[str, Numbers | Choice]
    fixed: Sequence[str]

    def overrides(self, chosen: Mapping[str, str]) -> list[str]:
        """What is typed for a trial.

        Args:
            chosen: the text of a value, by the key.
        """
        return [*self.fixed, *(f"{key}={text}" for key, text in chosen.items())]

    @property
    def count(self) -> float:
        """How many combinations there are."""
        return math.prod(each.count for each in self.dimensions.values())

    def examples(self) -> list[list[list[str]]]:
        """Overrides of jobs in which each choice and both ends of all numbers come up: for each of
        them two, with the first value of the other keys and with the last."""
        ends = [{key: each.examples[at] for key, each in self.dimensions.items()} for at in (0, -1)]
        return [
            [self.overrides(others | {key: value}) for others in ends]
            for key, each in self.dimensions.items()
            for value in dict.fromkeys(each.examples)
        ]

    def __str__(self) -> str:
        width = max(map(len, self.dimensions))
        return "\n".join(f"  {key:{width}}  {each}" for key, each in self.dimensions.items())


def space_of(overrides: Sequence[Override]) -> Space:
    """What a command line asks a search to choose.

    Args:
        overrides: as Hydra's parser gives them.

    Raises:
        ConfigError: a key has no value, or values that no search can choose from; or nothing is
            swept.
    """
    dimensions, fixed = dict[str, Numbers | Choice](), list[str]()
    for each in overrides:
        key = each.get_key_element()
        if not each.is_sweep_override():
            fixed.append(str(each.input_line))
        elif key in dimensions:
            raise ConfigError(key, _typed(each), "is swept twice; give all its values at once")
        else:
            dimensions[key] = _dimension(key, each)
    if not dimensions:
        problem = "nothing is left to choose; sweep a key, such as"
        example = "'optimizer.lr=tag(log, interval(1e-4, 1e-1))'"
        raise ConfigError("hydra/sweeper", "search", f"{problem} {example}")
    return Space(dimensions, fixed)


def _dimension(key: str, override: Override) -> Numbers | Choice:
    sweep = override.value()
    assert isinstance(sweep, Sweep)
    log = _LOG in sweep.tags
    if others := sorted(sweep.tags - {_LOG}):
        problem = f"knows no tag {others[0]}; the one that a search knows is {_LOG}"
        raise ConfigError(key, _typed(override), problem)
    if isinstance(sweep, IntervalSweep):
        found = _interval(key, override, sweep, log=log)
    elif isinstance(sweep, RangeSweep):
        found = _range(key, override, log=log)
    elif log:
        problem = "tag(log, …) is for numbers between two bounds: interval(low, high)"
        raise ConfigError(key, _typed(override), problem)
    elif not (values := list(override.sweep_string_iterator())):
        raise ConfigError(key, _typed(override), "gives no value to choose from")
    else:
        return Choice(list(dict.fromkeys(values)))
    if log and found.low <= 0:
        raise ConfigError(key, _typed(override), "tag(log, …) needs numbers above 0")
    return found


def _interval(key: str, override: Override, sweep: IntervalSweep, *, log: bool) -> Numbers:
    low, high = sweep.start, sweep.end
    assert low is not None and high is not None
    if not low <= high < math.inf:
        raise ConfigError(key, _typed(override), "must go from a number to a greater one")
    declared = KEYS.get(key)
    # Typed as int(interval(8, 64)), or of a key that knows no others.
    whole = isinstance(low, int) or type(declared and declared.default) is int
    if whole:
        low, high = math.ceil(low), math.floor(high)
        if low > high:
            raise ConfigError(key, _typed(override), "has no whole number in it")
    return Numbers(low, high, 1 if whole else None, log, whole)


def _range(key: str, override: Override, *, log: bool) -> Numbers:
    values = sorted(_numbers(override))
    if not values:
        raise ConfigError(key, _typed(override), "gives no value to choose from")
    whole = all(isinstance(each, int) for each in values)
    step = values[1] - values[0] if len(values) >= _TWO else 1
    if log and not (whole and step == 1):
        problem = "tag(log, …) of a range needs whole numbers in steps of 1; else interval()"
        raise ConfigError(key, _typed(override), problem)
    return Numbers(values[0], values[-1], round(step, 12), log, whole)


def _numbers(override: Override) -> Iterator[float]:
    # As Hydra's basic sweeper has it, the end is left out.
    for value in islice(override.sweep_iterator(), 10**6):
        assert isinstance(value, int | float)
        yield value


def _typed(override: Override) -> str:
    return str(override.input_line).partition("=")[2]
