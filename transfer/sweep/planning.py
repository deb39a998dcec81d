"""A sweep's plan: its jobs, composed and checked before the first of them starts, and what is
settled of them as a whole."""

import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from transfer.config import Config, refuse_overruled, refuse_unused, typed_config
from transfer.config.halving import plan_halving
from transfer.models.sources import resolve_source
from transfer.sweep import state
from transfer.sweep.budget import Budget, keeps_to_budget, open_budget, refuse_budget
from transfer.sweep.checking import Checking
from transfer.sweep.choose.choice import Choice
from transfer.sweep.compose import (
    claim_folder,
    compose_jobs,
    is_search,
    jobs_at_once,
    plans_all,
    typed,
)
from transfer.sweep.driver import Sweep
from transfer.sweep.expected import Expected, ExpectedJob, expected_job
from transfer.sweep.export.deployment import plan_deployment
from transfer.sweep.former import Former, kept_rule, read_former
from transfer.sweep.pace import Pace
from transfer.sweep.preview import epochs_done, preview
from transfer.sweep.search.examples import example_jobs, plan_of
from transfer.sweep.search.search_start import check_search
from transfer.sweep.turns import prepare_in_turn
from transfer.system.errors import ConfigError
from transfer.system.lock import Lock, LockedError
from transfer.system.memory import free_gpu_memory
from transfer.tracking.find import find_all_of
from transfer.tracking.previous_run import lock_of
from transfer.tracking.store import Client, answering, open_store, store_uri
from transfer.tracking.sweep_run import PlannedJob, find_auto_weights

log = logging.getLogger(__name__)


def plan_sweep(
    config: DictConfig,
    split: Sequence[list[str]],
    checking: Checking,
    choice: Choice | None = None,
) -> Sweep:
    """Compose and check every job of a sweep before the first one starts; ends the process after
    the table with `preview=true`.

    Args:
        config: of the sweep, Hydra's own part included.
        split: as `split_jobs` gives it.
        checking: is told of each job that was checked.
        choice: what the jobs come from, where they were not told.

    Raises:
        ConfigError: a job cannot run, or the folder or the store cannot be used.
    """
    examples = example_jobs(config) if is_search(config) else []
    jobs = [job for group in examples for job in group] or [
        (typed_config(composed), words) for words, composed in compose_jobs(config, split)
    ]
    refuse_overruled(jobs)
    refuse_unused(jobs)
    search = plan_of(config, examples) if examples else None
    if not keeps_to_budget(config):
        refuse_budget(config.budget)
    deployment = plan_deployment(config)
    halving = plan_halving(config.hydra.sweeper, [job for job, _ in jobs])
    client = open_store(store_uri(OmegaConf.select(config, "tracking.uri")))
    started = ("resume=", "stop_after=", "budget=", "deploy", "jobs_per_gpu=")
    overrides = [each for each in typed(config, "task") if not each.startswith(started)]
    resume = bool(OmegaConf.select(config, "resume"))
    auto = auto_weights(client, [job for job, _ in jobs], overrides if resume else None)
    pinned = [(auto.pin(job), words) for job, words in jobs]
    if search is not None:
        check_search(client, search, examples, auto.pin, checking)
    if OmegaConf.select(config, "preview"):
        checked, words = checking.each(prepare_in_turn(pinned)), [words for _, words in jobs]
        preview(client, checked, words, halving, resume=resume)
    planned, work = list[PlannedJob](), list[ExpectedJob]()
    if plans_all(config):
        planned, work = _check_jobs(client, pinned, split, checking, resume=resume)
    repeats = find_repeats(planned)
    numbered = {str(number): each for number, each in enumerate(work)}
    trained = {number: each for number, each in numbered.items() if number not in repeats.of}
    expected = Expected(trained, jobs_at_once(config))
    folder, lock = lock_folder(config)
    former = read_former(client, overrides, repeats.distinct(planned)) if resume else Former()
    spent = former.budget or (Budget(0.0, choice.spent) if choice else None)
    budget = open_budget(OmegaConf.select(config, "budget"), len(planned), spent)
    pace = former.pace or Pace(planned=choice.planned if choice else {})
    best = any(job.tracking.weights == "best" for job, _ in jobs)
    return Sweep(
        client, folder, lock, overrides, planned, repeats, auto, resume, best,
        halving=kept_rule(halving, former.halving),
        store=OmegaConf.select(config, "tracking.uri"), expected=expected, budget=budget,
        pace=pace, split=split, choice=choice, search=search, deployment=deployment,
    )  # fmt: skip


def _check_jobs(
    client: Client,
    jobs: Sequence[tuple[Config, Sequence[str]]],
    split: Sequence[Sequence[str]],
    checking: Checking,
    *,
    resume: bool,
) -> tuple[list[PlannedJob], list[ExpectedJob]]:
    """Make every job ready once, for what can be wrong with it.

    Returns:
        The plan of each job, and the work that it is: with `resume` what is left of it.

    Raises:
        ConfigError: one cannot run, or the store cannot be read.
    """
    with answering(client.tracking_uri, "read"):
        known = find_all_of(client, len(jobs)) if resume else None
    found = dict[int, tuple[PlannedJob, ExpectedJob]]()
    for number, job in checking.each(prepare_in_turn(jobs)):
        plan = PlannedJob(job.name, " ".join(split[number]), job.fingerprint)
        done = epochs_done(client, job, known) if resume else 0
        found[number] = plan, expected_job(job, done)
    # Jobs may be other processes, which the screen, and what was tried here, would leave less.
    free_gpu_memory()
    in_order = [each for _, each in sorted(found.items())]
    return [plan for plan, _ in in_order], [work for _, work in in_order]


def auto_weights(
    client: Client, jobs: Sequence[Config], overrides: Sequence[str] | None
) -> state.AutoWeights:
    """What `weights=auto` comes to: for a sweep that goes on, what it came to at first, for with
    other weights, downloaded since, its jobs would be others.

    Args:
        overrides: those of a sweep that goes on.
    """
    models = dict.fromkeys(job.model.name for job in jobs if job.weights == "auto")
    former = find_auto_weights(client, overrides) if models and overrides is not None else {}
    return state.AutoWeights(
        {model: former.get(model) or resolve_source("auto", model) for model in models}
    )


def find_repeats(planned: Sequence[PlannedJob]) -> state.Repeats:
    """The jobs that an earlier one makes superfluous; says which."""
    alike = dict[str, list[int]]()
    for number, job in enumerate(planned):
        alike.setdefault(job.fingerprint, []).append(number)
    for first, *others in alike.values():
        if others:
            twins = "\n".join(f"  #{each} : {planned[each].overrides}" for each in (first, *others))
            log.warning("these jobs train the same; the first of them is run, once:\n%s", twins)
    return state.Repeats({str(each): first for first, *others in alike.values() for each in others})


def lock_folder(config: DictConfig) -> tuple[Path, Lock]:
    """The folder of a sweep, made, and its lock, acquired.

    Args:
        config: of the sweep, Hydra's own part included.

    Raises:
        ConfigError: it cannot be made, or another sweep is writing there.
    """
    folder = claim_folder(config, "hydra.sweep.dir")
    lock = lock_of(folder)
    try:
        lock.acquire()
    except LockedError as error:
        problem = "another sweep is writing there; choose another folder, or wait for it"
        problem += error.advice
        raise ConfigError("hydra.sweep.dir", folder, problem) from error
    return folder, lock
