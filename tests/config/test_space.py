"""The values that a search chooses from, by Hydra's grammar."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from transfer.config.space import Choice, Numbers, Space, space_of
from transfer.system.errors import ConfigError


def _space(*overrides: str) -> Space:
    return space_of(OverridesParser.create().parse_overrides(list(overrides)))


def _whole(low: int, high: int, step: int = 1, *, log: bool = False) -> Numbers:
    return Numbers(low, high, step, log, whole=True)


def _any(low: float, high: float, step: float | None = None, *, log: bool = False) -> Numbers:
    return Numbers(low, high, step, log, whole=False)


@pytest.mark.parametrize(
    ("override", "expected", "text"),
    [
        (
            "optimizer.lr=tag(log, interval(1e-4, 1e-1))",
            _any(1e-4, 0.1, log=True),
            "0.0001 to 0.1, logarithmic",
        ),
        ("a=interval(0, 2)", _any(0, 2), "0.0 to 2.0"),
        ("a=int(interval(8, 64))", _whole(8, 64), "8 to 64, whole numbers"),
        # A key of whole numbers needs no cast.
        ("epochs=interval(2.5, 9)", _whole(3, 9), "3 to 9, whole numbers"),
        # As in any sweep, the end of a range is left out.
        ("a=range(1, 10, 3)", _whole(1, 7, 3), "1 to 7, in steps of 3"),
        ("a=range(3)", _whole(0, 2), "0 to 2, whole numbers"),
        (
            "a=tag(log, range(1, 9))",
            _whole(1, 8, log=True),
            "1 to 8, whole numbers, logarithmic",
        ),
        ("a=range(0.1, 0.65, 0.2)", _any(0.1, 0.5, 0.2), "0.1 to 0.5, in steps of 0.2"),
        ("model=resnet18,simple_cnn", Choice(["resnet18", "simple_cnn"]), "resnet18, simple_cnn"),
        ("a=choice(1e-3, 'x y', x)", Choice(["0.001", "x\\ y", "x"]), "0.001, x\\ y, x"),
        ("+a=[1,2],[3]", Choice(["[1,2]", "[3]"]), "[1,2], [3]"),
    ],
)
def test_what_is_swept_is_what_is_chosen_from(
    override: str, expected: Numbers | Choice, text: str
) -> None:
    space = _space("seed=3", override)
    [(key, found)] = space.dimensions.items()
    assert key == override.partition("=")[0] and space.fixed == ["seed=3"]
    assert str(found) == text
    if isinstance(expected, Numbers) and isinstance(found, Numbers):
        assert found.high == pytest.approx(expected.high)
        found = Numbers(found.low, expected.high, found.step, found.log, found.whole)
    assert found == expected


@pytest.mark.parametrize(
    ("overrides", "refusal"),
    [
        (["seed=3"], "hydra/sweeper=search: nothing is left to choose; sweep a key, such as 'opt"),
        (["a=tag(log, interval(0, 1))"], "needs numbers above 0"),
        (["a=interval(1, 0)"], "must go from a number to a greater one"),
        (["epochs=interval(1.2, 1.8)"], "has no whole number in it"),
        (["a=tag(log, choice(1, 2))"], "is for numbers between two bounds"),
        (["a=tag(normal, interval(0, 1))"], "knows no tag normal"),
        (["a=tag(log, range(1, 9, 2))"], "needs whole numbers in steps of 1"),
        (["a=range(5, 5)"], "gives no value to choose from"),
        (["a=1,2", "a=3,4"], "is swept twice"),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(overrides: list[str], refusal: str) -> None:
    with pytest.raises(ConfigError, match="(?s)" + refusal.replace("(", "\\(")):
        _space(*overrides)


def test_a_number_keeps_four_digits_and_its_bounds() -> None:
    log = _any(1e-4, 0.1, log=True)
    assert log.text(0.00123456) == "0.001235"
    assert log.text(0.0999999) == "0.1" and log.text(0.00010000001) == "0.0001"
    assert _any(0, 0.9).text(0.1234567) == "0.1235"
    assert _any(0, 300).text(0.1234567) == "0.1"
    narrow = _any(0.50001, 0.50003)
    assert narrow.text(0.500023456) == "0.50002346"
    assert narrow.text(0.4) == "0.50001"
    assert _whole(1, 1).text(1) == "1"


def test_every_value_comes_up_with_others_and_all_are_counted() -> None:
    space = _space("model=a,b", "x=interval(0, 1)", "y=range(3)")
    assert space.examples()[1] == [["model=b", "x=0.0", "y=0"], ["model=b", "x=1.0", "y=2"]]
    assert {line for pair in space.examples() for job in pair for line in job} == {
        *("model=a", "model=b", "x=0.0", "x=1.0", "y=0", "y=2"),
    }
    assert space.count == float("inf")
    assert _space("model=a,b", "y=range(3)", "z=range(0, 1, 0.25)").count == 2 * 3 * 4
