"""Work done ahead: in order, within a bound, and over when nobody waits for it any more."""

from __future__ import annotations

import threading
import time

import pytest

from transfer.system.prefetch import ordered_prefetch


def test_results_come_in_order_and_never_too_far_ahead() -> None:
    started: list[int] = []

    def slow_at_first(item: int) -> int:
        started.append(item)
        time.sleep(0.02 if item == 0 else 0.001)
        return item

    results = ordered_prefetch(slow_at_first, range(20), threads=3, ahead=5)
    for expected, result in enumerate(results):
        assert result == expected
        assert len(started) <= expected + 1 + 5
    assert sorted(started) == list(range(20))


def test_an_error_is_raised_in_its_turn_and_ends_the_threads() -> None:
    results = ordered_prefetch(lambda item: 6 // (3 - item), range(9), threads=2, ahead=4)
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not _threads()


def test_closing_ends_the_threads() -> None:
    results = ordered_prefetch(str, range(1000), threads=2, ahead=4)
    assert next(results) == "0" and _threads()
    results.close()
    assert not _threads()


def _threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("ahead")]
