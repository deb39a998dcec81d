"""A sweep's state in its folder, where its jobs and its driver find it from any process.

`sweep.json` says which parent run the jobs belong to; `weights.json`, what `weights=auto` came to;
`repeats.json`, which jobs would train what another one trains; `expected.json`, how much work each
is; `rung.json`, how far they train now; `pruning.json`, how a search stops them; `budget.json`, the
time that the sweep may take, and `pace.json`, what its jobs took; `halving.json`, its rungs, and by
which rule it drops at them; `choice.json`, what was chosen to be trained.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from transfer.config import Config
from transfer.config.halving import Halving, HalvingConfig
from transfer.sweep.budget import Budget
from transfer.sweep.choose.choice import Attempt, Choice
from transfer.sweep.expected import Expected, ExpectedJob
from transfer.sweep.outcomes import outcome_files
from transfer.sweep.pace import Pace
from transfer.system.disk import atomic_write
from transfer.tracking.sweep_run import PlannedJob, SweepRun


@dataclass(frozen=True)
class AutoWeights:
    """What `weights=auto` came to when the sweep was planned: its jobs keep to it, whatever has
    been downloaded or installed since, and wherever they run.

    Attributes:
        sources: by the name of the model.
    """

    sources: dict[str, str]

    def pin(self, config: Config) -> Config:
        """The job with what `auto` came to for its model; any other as it is."""
        found = self.sources.get(config.model.name) if config.weights == "auto" else None
        return config if found is None else replace(config, weights=found)


@dataclass(frozen=True)
class Repeats:
    """The jobs of a sweep that train nothing, for an earlier one trains the very same.

    Attributes:
        of: the number of that one, by the number of the job.
    """

    of: dict[str, int]

    def distinct(self, jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
        """Those of the sweep's jobs that train something: they make it the sweep that it is."""
        return [job for number, job in enumerate(jobs) if str(number) not in self.of]


@dataclass(frozen=True)
class Rung:
    """How far the jobs that run now are to train; a sweep in rungs notes each before it starts.

    Attributes:
        stop_after: the epoch where they pause; None where they end as they are configured.
    """

    stop_after: int | None

    def pin(self, config: Config) -> Config:
        """The job as far as the rung."""
        return config if self.stop_after is None else replace(config, stop_after=self.stop_after)


@dataclass(frozen=True)
class Pruning:
    """When the trials of a search are stopped, which each asks for itself.

    Attributes:
        pruner, eta, patience, prune_from: as in transfer.config.search.SearchConfig.
        first_rung: the first epoch after which one may be stopped.
        epochs: of a trial, at most.
    """

    pruner: str
    eta: int
    patience: int
    prune_from: int
    first_rung: int
    epochs: int


_FILES = {
    SweepRun: "sweep.json",
    AutoWeights: "weights.json",
    Repeats: "repeats.json",
    Expected: "expected.json",
    Rung: "rung.json",
    Budget: "budget.json",
    Pace: "pace.json",
    Halving: "halving.json",
    Choice: "choice.json",
    Pruning: "pruning.json",
}
State = TypeVar(
    "State", SweepRun, AutoWeights, Repeats, Expected, Rung, Budget, Pace, Halving, Choice, Pruning
)
Noted = (
    SweepRun | AutoWeights | Repeats | Expected | Rung | Budget | Pace | Halving | Choice | Pruning
)


def note(folder: Path, state: Noted) -> None:
    """Leave a note of a sweep's parent run or plan in its folder.

    Raises:
        DiskError: the disk is full, read-only or broken.
    """
    with atomic_write(folder / _FILES[type(state)]) as file:
        file.write(json.dumps(asdict(state)).encode())


def read_sweep(folder: Path) -> SweepRun | None:
    """The sweep whose folder this is; None where no sweep was opened there."""
    return _read(folder, SweepRun)


def read_auto_weights(folder: Path) -> AutoWeights:
    """What the sweep noted whose folder this is; nothing where none did."""
    return _read(folder, AutoWeights) or AutoWeights({})


def read_repeats(folder: Path) -> Repeats:
    """What the sweep noted whose folder this is; none where none did."""
    return _read(folder, Repeats) or Repeats({})


def read_expected(folder: Path) -> Expected:
    """What the sweep noted whose folder this is; no jobs where none did."""
    found = _read(folder, Expected) or Expected({})
    jobs = {number: ExpectedJob(*each) for number, each in found.jobs.items()}
    return replace(found, jobs=jobs)


def read_rung(folder: Path) -> Rung:
    """What the sweep noted last whose folder this is; the end where none did."""
    return _read(folder, Rung) or Rung(None)


def read_budget(folder: Path) -> Budget | None:
    """The time that the sweep may take whose folder this is; None where it has no such limit."""
    return _read(folder, Budget)


def read_pace(folder: Path) -> Pace:
    """What the jobs of the sweep took whose folder this is; nothing where none ended."""
    return _read(folder, Pace) or Pace()


def read_halving(folder: Path) -> Halving | None:
    """The rungs of the sweep whose folder this is, and its rule; None where it has none."""
    found = _read(folder, Halving)
    if found is None:
        return None
    # A sweep that chooses has more options than these.
    noted = cast(dict[str, Any], found.options)
    options = HalvingConfig(**{each.name: noted[each.name] for each in fields(HalvingConfig)})
    return replace(found, options=options)


def read_choice(folder: Path) -> Choice | None:
    """What the sweep has chosen to train whose folder this is; None where it was told."""
    found = _read(folder, Choice)
    if found is None:
        return None
    grid, tried = ([Attempt(*each) for each in some] for some in (found.grid, found.tried))
    return replace(found, grid=grid, tried=tried)


def show_life(folder: Path) -> None:
    """Let a command that goes on with this sweep see how long it ran, should it be killed now."""
    with suppress(OSError):
        os.utime(folder / _FILES[Budget])


def last_life(folder: Path) -> float:
    """When a sweep wrote last what only its driver and its jobs write, in seconds since the epoch;
    0 where it never did."""
    paths = [folder / name for name in _FILES.values()]
    paths += outcome_files(folder)
    found = [0.0]
    for path in paths:
        # It may never have been written, or be another sweep's by now.
        with suppress(OSError):
            found.append(path.stat().st_mtime)
    return max(found)


def replace_budget(folder: Path, budget: Budget | None, pace: Pace, choice: Choice | None) -> None:
    """Leave a note of a sweep's time, and of what follows from it, in the place of that of an
    earlier command, or sweep, that was given the same folder; never without either.

    Raises:
        DiskError: the disk is full, read-only or broken.
    """
    for kind, noted in ((Choice, choice), (Pace, pace), (Budget, budget)):
        if budget is None or noted is None:
            forget(folder, kind)
        else:
            note(folder, noted)


def read_pruning(folder: Path) -> Pruning | None:
    """How the search stops trials whose folder this is; None where it stops none, or where no
    search is."""
    return _read(folder, Pruning)


def forget(folder: Path, kind: type[Noted]) -> None:
    """Delete such a note of an earlier sweep that was given the same folder."""
    (folder / _FILES[kind]).unlink(missing_ok=True)


def _read(folder: Path, kind: type[State]) -> State | None:
    path = folder / _FILES[kind]
    return kind(**json.loads(path.read_text())) if path.is_file() else None
