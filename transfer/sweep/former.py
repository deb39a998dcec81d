"""What an earlier command of the same sweep has left in its folder."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from transfer.config.halving import Halving
from transfer.sweep import state
from transfer.sweep.budget import Budget, ended
from transfer.sweep.pace import Pace
from transfer.tracking.store import Client
from transfer.tracking.sweep_run import PlannedJob, find_former_folder

log = logging.getLogger(__name__)


class Former(NamedTuple):
    """What a sweep goes on with.

    Attributes:
        folder: None where there is no earlier command, or its folder is not on this machine.
        budget: its time, with what it took; None where it had no limit.
        pace: what its jobs took.
        halving: its rungs, and the rule by which it drops; None where it had none.
    """

    folder: Path | None = None
    budget: Budget | None = None
    pace: Pace | None = None
    halving: Halving | None = None


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
    return Former(folder, budget, state.read_pace(folder), state.read_halving(folder))


def kept_rule(typed: Halving | None, former: Halving | None) -> Halving | None:
    """The rungs and the rule of a sweep that goes on: those that it began with, for by others what
    it has dropped would be in the race again, and be compared with little; says where others were
    typed.

    Args:
        typed: None where the sweep has no rungs now; then it has none.
        former: of the command that it goes on with; None where that had none.
    """
    if typed is None or former is None or str(typed) == str(former):
        return typed
    own = former.options
    options = replace(typed.options, keep=own.keep, eta=own.eta, risk=own.risk)
    log.warning(
        "the sweep goes on as it began, with %s; what was typed (%s) is for one that begins anew,"
        " without resume=true",
        former, typed,
    )  # fmt: skip
    return Halving(options, former.rungs, typed.epochs)
