"""Which runs a report compares."""

import difflib
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transfer.system.errors import ConfigError
from transfer.tracking.find import find_job_runs, find_sweep_jobs, find_sweep_run
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
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


def select(client: Client, sweep: str, where: str = "") -> Selection:
    """Find runs in the store.

    Args:
        sweep: as `find_sweep_run` takes it, several with commas between; or "all" for every run of
            every sweep and of none.
        where: conditions such as ``data=cifar10 and epochs>=40 and test/acc>0.5``, on parameters
            and metrics; empty: every run.

    Raises:
        ConfigError: no such sweep, or a condition that says nothing about these runs.
    """
    choices = [] if sweep == "all" else sweep.split(",")
    sweeps = [find_sweep_run(client, choice.strip()) for choice in choices]
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
    limit = _number_or_text(value)
    ordered = sign not in ("=", "!=")
    if ordered and isinstance(limit, str):
        raise ConfigError("where", where, f"{sign} compares numbers, and {value!r} is none")

    def fits(run: RunRecord) -> bool:
        own = _number_or_text(run.params.get(name) or str(run.metrics.get(name, "")))
        return not (ordered and isinstance(own, str)) and _OPERATORS[sign](own, limit)

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


def _number_or_text(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    # What is no number equals itself, as a text does.
    return text if math.isnan(number) else number
