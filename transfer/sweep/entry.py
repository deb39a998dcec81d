"""One job as Hydra starts it: alone, in a sweep's process, or in a worker of a sweep."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from transfer.config import Config, refuse_overruled, refuse_unused, typed_config
from transfer.config.weights import entry_named
from transfer.sweep.budget import refuse_budget
from transfer.sweep.callback import SweepCallback
from transfer.sweep.compose import chooses, is_search, plans_all
from transfer.sweep.endings import (
    FULL_ERROR,
    exit_for_people,
    exit_interrupted,
    one_line_for_people,
    resume_command,
)
from transfer.sweep.export.deployment import refuse_deployment
from transfer.sweep.launch.gpu_sharing import place_on_machine, refuse_sharing
from transfer.sweep.reader import outlive_reader
from transfer.system import interrupt
from transfer.system.bars import silence_bars
from transfer.system.errors import ConfigError, first_line, is_for_people

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep
    from transfer.sweep.progress import JobProgress
    from transfer.tracking.sweep_run import SweepRun

log = logging.getLogger(__name__)

_WORKER_DIED = (
    "a worker died, and the others were stopped (short of memory? fewer workers, "
    "hydra.launcher.n_jobs, need less)"
)


@dataclass(frozen=True)
class JobContext:
    """Where a job runs, and beside which others.

    Attributes:
        folder: where Hydra lets the job write.
        number: the place among the jobs that share the machine's GPUs at the same time; 0 for one
            alone.
        sweep: the sweep that the job is part of.
        watch: passes on the epochs of the training, to show how far it has come.
    """

    folder: Path
    number: int
    sweep: SweepRun | None
    watch: Callable[[Iterable[Any]], Iterator[Any]] = iter


@dataclass(frozen=True)
class Result:
    """What a job gives.

    Attributes:
        score: on the validation images; more is better.
        paused: whether epochs are left that it is to go on with later.
    """

    score: float
    paused: bool = False


Train = Callable[[Config, DictConfig, JobContext], Result]


def run_job(composed: DictConfig, train: Train) -> float:
    """Run one job; in a sweep a failure is noted and the other jobs go on.

    Returns:
        The job's number; NaN where it failed, which is what Hydra's sweepers expect then.
    """
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        with one_line_for_people():
            return _run_single(composed, train)
    if not _in_worker():
        interrupt.raise_if_requested()
        return _run_of_sweep(composed, train)
    outlive_reader()
    silence_bars()
    try:
        with interrupt.job_of_worker():
            return _run_of_sweep(composed, train)
    except KeyboardInterrupt:
        # It must not reach the launcher, which would kill the other workers.
        return float("nan")


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a signal end a run and its sweep as KILLED, with a report of what is done; give a line
    to what Hydra refuses, and to a launcher that fails."""
    outlive_reader()
    interrupt.listen(f"stopped; to go on:\n{resume_command()}")
    # Hydra prints a traceback for some mistakes on the command line, such as model=7: so what it
    # raises comes here.
    asked_for = os.environ.setdefault(FULL_ERROR, "0") == "1"
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        sweep = SweepCallback.running
        if isinstance(error, KeyboardInterrupt) or interrupt.requested():
            if sweep is not None:
                sweep.close("KILLED")
            exit_interrupted()
        if sweep is not None:
            _end_without_launcher(sweep, error)
        if asked_for:
            raise
        exit_for_people(error)


def _end_without_launcher(sweep: Sweep, error: Exception) -> NoReturn:
    """End a sweep whose launcher has failed, with a report of what is done."""
    if type(error).__name__ == "TerminatedWorkerError":
        # Joblib's own words guess at length.
        print(f"\n{_WORKER_DIED}", file=sys.stderr)
    elif is_for_people(error):
        print(f"\n{first_line(error)}", file=sys.stderr)
    else:
        traceback.print_exception(error)
    sweep.close("FAILED")
    print(f"to go on:\n{resume_command()}", file=sys.stderr)
    sys.exit(1)


def _in_worker() -> bool:
    """Whether this process was started by a sweep's launcher, beside the sweep's own."""
    return SweepCallback.running is None


def _run_single(composed: DictConfig, train: Train) -> float:
    """Run a job that is no part of a sweep."""
    config, overrides = typed_config(composed), HydraConfig.get().overrides.task
    refuse_overruled([(config, overrides)])
    refuse_unused([(config, overrides)])
    if chooses(cast(DictConfig, HydraConfig.instance().cfg)):
        raise ConfigError("experiment", "choose", "chooses among many jobs; type -m before it")
    refuse_budget(config.budget)
    refuse_deployment(config.deploy)
    refuse_sharing(config.jobs_per_gpu)
    # Imported here, so that a wrong value is answered at once.
    from transfer.tracking.delivery import EXIT_CODE, noted_folders

    if config.preview:
        from transfer.sweep.preview import preview
        from transfer.sweep.turns import prepare_in_turn
        from transfer.tracking.store import open_store, store_uri

        store = open_store(store_uri(config.tracking.uri))
        preview(store, prepare_in_turn([(config, overrides)]), [overrides])
    folder = Path(HydraConfig.get().runtime.output_dir)
    with entry_named(config.model.name, overrides):
        result = train(config, composed, JobContext(folder, 0, None))
    if result.paused:
        print(f"paused; to go on:\n{resume_command()}")
    if noted_folders([folder]):
        # The training is good, but a command that would read its run from the store comes too soon.
        sys.exit(EXIT_CODE)
    return result.score


def _run_of_sweep(composed: DictConfig, train: Train) -> float:
    """Run a job of a sweep, and leave a note of how it ended in the sweep's folder."""
    from transfer.sweep.outcomes import Outcome, note_outcome
    from transfer.sweep.progress import JobProgress
    from transfer.sweep.state import read_auto_weights, read_repeats, read_rung, read_sweep

    hydra = HydraConfig.get()
    folder, of_sweep = Path(hydra.runtime.output_dir), Path(hydra.sweep.dir).absolute()
    number, overrides = int(hydra.job.num), " ".join(hydra.overrides.task)
    of_all = cast(DictConfig, HydraConfig.instance().cfg)
    if _in_worker() and (plans_all(of_all) or is_search(of_all)):
        # The driver has read the same images, and said what there is to say of them.
        logging.getLogger("transfer.data.data_sets").setLevel(logging.ERROR)
    if (first := read_repeats(of_sweep).of.get(str(number))) is not None:
        log.info("job %d trains what job %d trains: left out", number, first)
        return float("nan")

    progress = JobProgress(of_sweep, number)

    def note(status: str, reason: str = "") -> None:
        took = progress.seconds, progress.first_epoch, progress.epoch_s
        outcome = Outcome(overrides, status, reason, str(folder), *took)
        note_outcome(of_sweep, number, outcome)

    try:
        with progress:
            chosen = read_rung(of_sweep).pin(typed_config(composed))
            config = read_auto_weights(of_sweep).pin(chosen)
            watch = _watch(progress, of_sweep, number, config)
            with (
                _place(config, of_sweep) as place,
                entry_named(config.model.name, hydra.overrides.task),
            ):
                context = JobContext(folder, place, read_sweep(of_sweep), watch)
                result = train(config, composed, context)
    except KeyboardInterrupt:
        note("interrupted")
        raise
    except Exception as error:
        # Of an error that is not written for people, the kind is half of the message.
        kind = "" if is_for_people(error) else f"{type(error).__name__}: "
        reason = f"{kind}{first_line(error)}"
        log.error("job %s (%s) failed: %s", folder.name, overrides, reason)
        # Unless the disk is full.
        with suppress(OSError):
            (folder / "traceback.txt").write_text(traceback.format_exc())
        note("failed", reason)
        progress.job_ended()
        return float("nan")
    note("paused" if result.paused else "finished")
    progress.job_ended()
    return result.score


def _place(config: Config, of_sweep: Path) -> AbstractContextManager[int]:
    """The job's place among those that share this machine's GPUs; 0 where nothing is dealt out."""
    from transfer.system.device import count_gpus

    if not _in_worker() or config.device != "auto" or count_gpus("auto") < 2:
        return nullcontext(0)
    return place_on_machine(of_sweep)


def _watch(
    progress: JobProgress, of_sweep: Path, number: int, config: Config
) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """What passes on the epochs of a job: shows how far it has come, and in a search ends it where
    the pruner says so."""
    from transfer.sweep.state import read_pruning

    pruning = read_pruning(of_sweep)
    if pruning is None:
        return progress.watch
    from transfer.sweep.search.pruning import stop_when_pruned

    return lambda epochs: progress.watch(
        stop_when_pruned(epochs, of_sweep, number, pruning, config)
    )
