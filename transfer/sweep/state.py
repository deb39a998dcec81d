"""A sweep's state in its folder, where its jobs and its driver find it from any process.

`sweep.json` says which parent run the jobs belong to; `weights.json`, what `weights=auto` came to;
`outcome.json` in a job's folder, how the job ended. A file a job, for workers on several machines
write at the same time.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from transfer.config import Config
from transfer.system.disk import atomic_write
from transfer.tracking.sweep_run import SweepRun


@dataclass(frozen=True)
class Outcome:
    """The end of one job.

    Attributes:
        overrides: what distinguishes the job on the command line.
        status: "finished", "failed" or "interrupted".
        error: one line; empty unless it failed.
    """

    overrides: str
    status: str
    error: str = ""


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


_FILES = {SweepRun: "sweep.json", AutoWeights: "weights.json", Outcome: "outcome.json"}
_OUTCOMES = f"*/{_FILES[Outcome]}"


def note(folder: Path, state: SweepRun | AutoWeights | Outcome) -> None:
    """Leave a note of a sweep's parent run or plan, or of how a job ended, in its folder.

    Raises:
        DiskError: the disk is full, read-only or broken.
    """
    with atomic_write(folder / _FILES[type(state)]) as file:
        file.write(json.dumps(asdict(state)).encode())


def read_sweep(folder: Path) -> SweepRun | None:
    """The sweep whose folder this is; None where no sweep was opened there."""
    path = folder / _FILES[SweepRun]
    return SweepRun(**json.loads(path.read_text())) if path.is_file() else None


def read_auto_weights(folder: Path) -> AutoWeights:
    """What the sweep noted whose folder this is; nothing where none did."""
    path = folder / _FILES[AutoWeights]
    return AutoWeights(**json.loads(path.read_text())) if path.is_file() else AutoWeights({})


def read_outcomes(sweep_folder: Path) -> dict[str, Outcome]:
    """The outcomes of a sweep's jobs so far, by the name of their folders, in order."""
    paths = sorted(sweep_folder.glob(_OUTCOMES), key=lambda path: (len(path.parent.name), path))
    return {path.parent.name: Outcome(**json.loads(path.read_text())) for path in paths}


def forget_outcomes(sweep_folder: Path) -> None:
    """Delete those of an earlier sweep that was given the same folder."""
    for path in list(sweep_folder.glob(_OUTCOMES)):
        path.unlink()
