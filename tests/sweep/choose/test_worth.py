"""What is expected of configurations that were not trained yet, and which are worth their time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from transfer.evaluate.speed import Speed
from transfer.sweep.choose.choice import Attempt
from transfer.sweep.choose.outlook import Outlook
from transfer.sweep.choose.tunings import Candidate, Tuning, neighbours, tunings
from transfer.sweep.choose.worth import (
    Prospect,
    choose_worthy,
    expected_best,
    expected_gain,
    merit_of,
)

CANDIDATE = Candidate("a", (), True, Speed(1e-2, 4e-2, 1e-2), merit=1.0)
OTHER = Candidate("b", (), True, Speed(1e-2, 4e-2, 1e-2), merit=0.8)


def test_the_best_of_several_is_expected_above_each() -> None:
    generator = np.random.default_rng(0)
    prospects = [Prospect(1.0, 0.1), Prospect(0.95, 0.15), Prospect(0.5, 0.1)]
    drawn = generator.normal(*zip(*prospects, strict=True), size=(200_000, 3))
    assert expected_best(prospects) == pytest.approx(drawn.max(axis=1).mean(), abs=0.002)
    assert merit_of(0.1) - merit_of(0.2) == pytest.approx(np.log(2))


def test_deeper_is_better_where_there_are_epochs_for_it() -> None:
    kinds = ("head", "last:1", "views", "all")
    long, short = ([expected_gain(kind, epochs) for kind in kinds] for epochs in (30, 3))
    assert long == sorted(long) and short[0] == max(short)


def test_what_is_worth_its_time_is_chosen_and_no_more() -> None:
    prospects = [Prospect(1.0, 0.1), Prospect(1.3, 0.1), Prospect(0.2, 0.1), Prospect(1.0, 0.1)]
    costs = [10.0, 90.0, 1.0, 20.0]

    def chosen(time: float, known: Sequence[Prospect] = ()) -> list[int]:
        def fits(places: Sequence[int]) -> bool:
            return sum(costs[at] for at in places) <= time

        return sorted(choose_worthy(prospects, costs, fits, known=known, least=0.005)[1])

    # By the time of each, the two cheap ones would leave none for the best.
    assert chosen(95.0) == [1]
    assert {0, 3} <= set(chosen(40.0)) and chosen(5.0) == [2]
    assert chosen(1000.0, [Prospect(2.0, 0.02)]) == []


def test_what_came_out_tells_of_others() -> None:
    [head, whole, last, *_] = tunings(CANDIDATE, "adamw", None)

    def known(tuning: Tuning, merit: float, place: int = 0) -> tuple[Attempt, float]:
        return Attempt(place, tuning.kind, tuning.overrides, tuning.handicap, 30, []), merit

    outlook = Outlook([CANDIDATE, OTHER], [known(head, 1.5), known(last, 1.2)])
    assert [each.merit for each in outlook.standing] == [1.5]
    assert [each.kind for each in outlook.in_order] == ["head", "last:1"]
    # A rate beside one that was bad is expected to be bad, and what is deeper to gain by that.
    beside = neighbours(last.overrides, "last:1")[0]
    assert "optimizer.lr=0.00025" in beside.overrides
    assert outlook.prospect(0, beside, 30).merit == pytest.approx(1.2, abs=0.05)
    assert outlook.prospect(0, whole, 30).merit > outlook.prospect(0, whole, 5).merit
    # The other's probe was 0.2 behind.
    gap = outlook.prospect(0, whole, 30).merit - outlook.prospect(1, whole, 30).merit
    assert gap == pytest.approx(0.2)
    assert neighbours(["tune=head"], "head") == []
    # Where nothing has finished, what was planned with is all that is known.
    nothing = Outlook([CANDIDATE, OTHER], [])
    assert nothing.standing == []
    assert nothing.prospect(0, whole, 30).merit == pytest.approx(1.0 + expected_gain("all", 30))
