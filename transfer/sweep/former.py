"""What an earlier command of the same sweep has left in its folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from transfer.sweep import state
from transfer.sweep.budget import Budget, ended
from transfer.sweep.pace import Pace
from transfer.tracking.store import Client
from transfer.tracking.sweep_run import PlannedJob, find_former_folder


class Former(NamedTuple):
    """What a sweep goes on with.

    Attributes:
        folder: None where there is no earlier command, or its folder is not on this machine.
        budget: its time, with what it took; None where it had no limit.
        pace: what its jobs took.
    """

    folder: Path | None = None
    budget: Budget | None = None
    pace: Pace | None = None


def read_former(client: Client, overrides: Sequence[str], jobs: Sequence[PlannedJob]) -> Former:
    """The latest command of a sweep; to be read before anything is written into its folder.

    Args:
        overrides, jobs: as of `open_sweep`.
    """
    folder = find_former_folder(client, overrides, jobs)
    if folder is None:
        return Former()
    budget = state.read_budget(folder)
    if budget is not None:
        budget = ended(budget, state.last_life(folder))
    return Former(folder, budget, state.read_pace(folder))
