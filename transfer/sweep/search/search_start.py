"""A search before its first trial: what it goes on with, and what it is going to be."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from transfer.config import Config
from transfer.config.search import SearchPlan
from transfer.sweep import state
from transfer.sweep.checking import Checking
from transfer.sweep.expected import duration
from transfer.sweep.preview import seconds_an_epoch
from transfer.sweep.search.examples import Alternatives, prepare_examples, remark_on
from transfer.sweep.search.study import SharedStudy, forget_study, take_over_study
from transfer.tracking.store import Client
from transfer.tracking.sweep_run import find_former_folder

log = logging.getLogger(__name__)


def open_search(
    client: Client, folder: Path, overrides: Sequence[str], plan: SearchPlan, *, resume: bool
) -> SearchPlan:
    """Bring the study of the same search here, if it goes on, and let its jobs know how they are
    pruned.

    Args:
        folder: of the sweep, and locked.
        overrides: the command line's.

    Returns:
        The plan, with what chooses and prunes in a search that goes on.

    Raises:
        ConfigError: the store cannot be read.
    """
    former = find_former_folder(client, overrides, []) if resume else None
    if former is None:
        if resume:
            log.info("resume=true: there is no search in these words yet; it begins anew")
        forget_study(folder)
    else:
        take_over_study(former, folder)
    plan = _kept(plan, SharedStudy(folder))
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
    return plan


def _kept(typed: SearchPlan, study: SharedStudy) -> SearchPlan:
    """A search with the sampler and the pruner that it began with, for what is told of all of its
    trials, and compared, is theirs; says where others were typed."""
    now = asdict(typed.options) | {"first_rung": typed.first_rung}
    del now["n_trials"]
    began = study.options or now
    if study.options is None:
        study.options = now
    if other := [name for name in now if now[name] != began.get(name, now[name])]:
        own, others = (
            ", ".join(f"{name}={'null' if of[name] is None else of[name]}" for name in other)
            for of in (began, now)
        )
        log.warning(
            "the search goes on as it began, with %s; what was typed (%s) is for one that begins"
            " anew, without resume=true",
            own, others,
        )  # fmt: skip
    kept = now | {name: began[name] for name in other}
    options = replace(typed.options, **kept)
    return replace(typed, options=options, first_rung=options.first_rung)


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
