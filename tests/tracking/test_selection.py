"""Conditions on runs."""

from __future__ import annotations

import pytest

from tests.compare.runs import RUNS
from tests.conftest import Sweep
from transfer.system.errors import ConfigError
from transfer.tracking import selection
from transfer.tracking.selection import Selection, select


def _where(where: str) -> list[str]:
    conditions = [selection._condition(text, where, RUNS) for text in where.split(" and ")]
    return [run.id for run in RUNS if all(fits(run) for fits in conditions)]


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("model=a", ["a-0-0", "a-0-1"]),
        ("model.name!=a", ["b-0-0", "b-5-0"]),
        ("freeze_epochs>0", ["b-5-0"]),
        ("epochs=3.0 and seed<=0", ["a-0-0", "b-0-0", "b-5-0"]),
        ("test/acc >= 0.6", ["a-0-1", "b-0-0"]),
    ],
)
def test_conditions_on_parameters_and_metrics(where: str, ids: list[str]) -> None:
    assert _where(where) == ids


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ("modle=a", "no run has a parameter or metric modle; did you mean model.name"),
        ("model", "'model' is no condition; write key=value"),
        ("seed<many", "< compares numbers, and 'many' is none"),
        ("__import__('os')=1", "is no condition"),
    ],
)
def test_a_wrong_condition_is_told_in_a_line(where: str, problem: str) -> None:
    with pytest.raises(ConfigError, match="where=") as error:
        _where(where)
    assert problem in str(error.value)


def test_runs_of_a_real_sweep(sweep: Sweep) -> None:
    client = sweep.workplace.client
    latest = select(client, "latest")
    assert len(latest.runs) == 4 and len(latest.sweeps) == 1
    everything = select(client, "all", "freeze_epochs=1 and model=resnet18")
    assert isinstance(everything, Selection)
    assert [run.name for run in everything.runs] == ["resnet18-freeze1-seed0"]
    assert everything.left_out == 3
