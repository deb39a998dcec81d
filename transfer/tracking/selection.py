"""Which runs a report compares."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from transfer.system.errors import ConfigError
from transfer.tracking.find import RunRecord, find_job_runs, find_sweep_jobs, find_sweep_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"\s*([\w./]+)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*")


@dataclass(frozen=True)
class Selection:
    """Runs to compare, whatever became of them.

    Attributes:
        runs: those that fit, each once.
        sweeps: the sweeps they were asked for by; none where all runs of the store were.
        where: the condition that they fit, as it was typed.
        left_out: how many runs did not fit it.
    """

    runs: Sequence[RunRecord]
    sweeps: Sequence[RunRecord]
    where: str = ""
    left_out: int = 0


def select(client: MlflowClient, sweep: str, where: str = "") -> Selection:
    """Find runs in the store.

    Args:
        sweep: as `find_sweep_runs` takes it, or "all" for every run of every sweep and of none.
        where: conditions such as ``data=cifar10 and epochs>=40 and test/acc>0.5``, on parameters
            and metrics; empty: every run.

    Raises:
        ConfigError: no such sweep, or a condition that says nothing about these runs.
    """
    sweeps = [] if sweep == "all" else find_sweep_runs(client, sweep)
    return select_from(client, sweeps, where)


def select_from(client: MlflowClient, sweeps: Sequence[RunRecord], where: str = "") -> Selection:
    """As `select`, of sweeps already found; without any, every run of the store."""
    if sweeps:
        found = [run for parent in sweeps for run in find_sweep_jobs(client, parent)]
    else:
        found = find_job_runs(client)
    # A run counts once, in however many of the sweeps it is.
    runs = list({run.id or run.tags["transfer.fingerprint"]: run for run in found}.values())
    conditions = [_condition(text, where, runs) for text in where.split(" and ") if where.strip()]
    fitting = [run for run in runs if all(fits(run) for fits in conditions)]
    return Selection(fitting, sweeps, where, len(runs) - len(fitting))


def _condition(text: str, where: str, runs: Sequence[RunRecord]) -> Callable[[RunRecord], bool]:
    match = _CONDITION.fullmatch(text)
    if match is None or not match[3]:
        problem = f"{text.strip()!r} is no condition; write key=value, with and between several"
        raise ConfigError("where", where, problem)
    key, sign, value = match.groups()
    name = _name(key, where, runs)
    if sign in ("=", "!="):
        wanted = sign == "="
        return lambda run: _equal(_value(run, name), value) == wanted
    limit = _number(value)
    if limit is None:
        raise ConfigError("where", where, f"{sign} compares numbers, and {value!r} is none")

    def fits(run: RunRecord) -> bool:
        number = _number(_value(run, name))
        return number is not None and _OPERATORS[sign](number, limit)

    return fits


def _name(key: str, where: str, runs: Sequence[RunRecord]) -> str:
    """The parameter or metric that `key` means: data is short for data.name."""
    known = {name for run in runs for name in (*run.params, *run.metrics)}
    for name in (f"{key}.name", key):
        if name in known:
            return name
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ConfigError("where", where, f"no run has a parameter or metric {key}{hint}")


def _value(run: RunRecord, name: str) -> str:
    return run.params.get(name) or str(run.metrics.get(name, ""))


def _equal(one: str, other: str) -> bool:
    numbers = _number(one), _number(other)
    return one == other or (None not in numbers and numbers[0] == numbers[1])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
