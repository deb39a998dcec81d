"""A search before its first trial: what it goes on with, and what it is going to be."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from transfer.config import Config
from transfer.config.search import SearchPlan
from transfer.sweep import state
from transfer.sweep.checking import Checking
from transfer.sweep.examples import Alternatives, prepare_examples, remark_on
from transfer.sweep.expected import duration
from transfer.sweep.preview import seconds_an_epoch
from transfer.sweep.study import forget_study, take_over_study
from transfer.tracking.store import Client
from transfer.tracking.sweep_run import find_former_folder

log = logging.getLogger(__name__)


def open_search(
    client: Client, folder: Path, overrides: Sequence[str], plan: SearchPlan, *, resume: bool
) -> None:
    """Bring the study of the same search here, if it goes on, and let its jobs know how they are
    pruned.

    Args:
        folder: of the sweep, and locked.
        overrides: the command line's.

    Raises:
        ConfigError: the store cannot be read.
    """
    former = find_former_folder(client, overrides, []) if resume else None
    if former is None:
        forget_study(folder)
    else:
        take_over_study(former, folder)
    options = plan.options
    if plan.first_rung is None:
        state.forget(folder, state.Pruning)
    else:
        pruning = state.Pruning(
            options.pruner,
            options.eta,
            options.patience,
            options.prune_from,
            plan.first_rung,
            plan.epochs,
        )
        state.note(folder, pruning)
    log.info("%s", plan)
    if remark := remark_on(plan):
        log.warning(remark)


def check_search(
    client: Client,
    plan: SearchPlan,
    groups: Sequence[Alternatives],
    pin: Callable[[Config], Config],
    checking: Checking,
) -> None:
    """Read images and weights for every value that a trial may get; with `preview=true`, print what
    the search would be, and end the process.

    Args:
        groups: as `example_jobs` gives them.
        pin: gives a job what `weights=auto` came to.

    Raises:
        ConfigError: a value cannot work, whatever the others are.
    """
    ready = prepare_examples(groups, pin, checking)
    if not groups[0][0][0].preview:
        return
    lines = [str(plan)]
    if plan.space.fixed:
        lines.append(f"the same in all: {' '.join(plan.space.fixed)}")
    seconds = [seconds_an_epoch(client, job) for job in ready.values()]
    known = [each for each in seconds if each is not None]
    if known:
        most = plan.options.n_trials * plan.epochs * sum(known) / len(known)
        lines.append(f"at most about {duration(most)}, if none is pruned, one after another")
    if remark := remark_on(plan):
        lines.append(remark)
    print("\n".join(lines))
    sys.exit(0)
