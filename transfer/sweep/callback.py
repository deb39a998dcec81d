"""What surrounds a job: errors for people, and the start and the end of a sweep.

Hydra composes the jobs and launches them; `SweepCallback` checks all of them before the first
one starts, and reports when the last one has ended. Imports of weight stay inside functions:
Hydra loads this module even to print its help.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transfer.config import typed_config
from transfer.sweep.compose import compose_jobs, plans_all
from transfer.sweep.folders import claim_folder
from transfer.sweep.launcher import has_workers, keep_chosen_threads, require_precision
from transfer.sweep.outcome import forget_outcomes, read_outcomes
from transfer.system import interrupt
from transfer.system.errors import ConfigError, exit_with, first_line, is_for_people

if TYPE_CHECKING:
    from filelock import FileLock
    from mlflow import MlflowClient

    from transfer.tracking.sweep_run import PlannedJob, SweepRun

log = logging.getLogger(__name__)

FULL_ERROR = "HYDRA_FULL_ERROR"
_WORKER_DIED = (
    "a worker died, and the others were stopped (short of memory? fewer workers, "
    "hydra.launcher.n_jobs, need less)"
)

_TWINS = "these jobs train the same, for they differ in rates that no epoch of theirs uses"


class SweepCallback(Callback):
    """Checks, opens, closes and reports a sweep; named in conf/config.yaml."""

    running: ClassVar[SweepCallback | None] = None

    def __init__(self) -> None:
        self._client: MlflowClient | None = None
        self._sweep: SweepRun | None = None
        self._lock: FileLock | None = None
        self._folder = Path()

    def __getstate__(self) -> dict[str, object]:
        # Launchers pickle it for their workers, which need none of it.
        return {}

    def on_run_start(self, config: DictConfig, **kwargs: object) -> None:
        try:
            claim_folder(config, "hydra.run.dir")
        except ConfigError as error:
            exit_with(error)

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        try:
            jobs = compose_jobs(config)
        except ConfigError as error:
            exit_with(error)
        except Exception as error:
            # Of a callback's error Hydra would make a warning.
            exit_with_refusal(error)
        try:
            self._check_and_open(config, jobs)
        except ConfigError as error:
            exit_with(error)
        except Exception as error:
            if is_for_people(error):
                print(first_line(error), file=sys.stderr)
            else:
                # Hydra would only warn, and go on without a parent run.
                traceback.print_exc()
            sys.exit(1)

    def on_multirun_end(self, config: DictConfig, **kwargs: object) -> None:
        if self._sweep is None:
            return
        outcomes = read_outcomes(self._folder)
        if interrupt.requested() or any(each.interrupted for each in outcomes.values()):
            _end_interrupted()
        from transfer.tracking.undelivered import EXIT_CODE, deliver_noted, delivery_command

        failed = {name: each for name, each in outcomes.items() if each.failed}
        left = deliver_noted(self._folder)
        closed = self.close("FAILED" if failed else "FINISHED")
        if left:
            jobs = f"{len(left)} of {len(outcomes)} jobs are trained, but not all in the store"
            print(f"{jobs}; to deliver the rest: {delivery_command(left)}", file=sys.stderr)
        if failed:
            print(f"\n{len(failed)} of {len(outcomes)} jobs failed:", file=sys.stderr)
            for name, outcome in failed.items():
                print(f"  {name}  {outcome.overrides}: {outcome.error}", file=sys.stderr)
            print(f"to try them again:\n{resume_command()}", file=sys.stderr)
            # Hydra only warns of an exception in a callback; an exit it lets through.
            sys.exit(1)
        if left or not closed:
            sys.exit(EXIT_CODE)

    def _check_and_open(self, config: DictConfig, jobs: list[tuple[list[str], DictConfig]]) -> None:
        from transfer.job import memory_explained, prepare
        from transfer.sweep.preview import preview
        from transfer.tracking.run_weights import fetch_run_weights
        from transfer.tracking.store import open_store, store_uri
        from transfer.tracking.sweep_run import PlannedJob, open_sweep

        workers = has_workers(config)
        tracking_uri = OmegaConf.select(config, "tracking.uri")
        client = open_store(store_uri(tracking_uri))
        if OmegaConf.select(config, "preview"):
            preview(client, [typed_config(composed) for _, composed in jobs])
            sys.exit(0)
        planned, trainings = [], []
        for overrides, composed in jobs:
            job_config = typed_config(composed)
            require_precision(config, job_config)
            with memory_explained(job_config):
                # Not kept: it holds the weights.
                job = prepare(job_config, weights=fetch_run_weights(job_config))
            planned.append(PlannedJob(job.name, " ".join(overrides), job.fingerprint))
            trainings.append(job.training)
        _tell_twins(planned, trainings)
        self._folder = claim_folder(config, "hydra.sweep.dir")
        self._lock = _lock_alone(self._folder)
        forget_outcomes(self._folder)
        task = [each for each in config.hydra.overrides.task if not each.startswith("resume=")]
        resume = bool(OmegaConf.select(config, "resume"))
        with interrupt.deferred():
            known = planned if plans_all(config) else []
            self._sweep = open_sweep(client, self._folder, task, known, resume=resume)
            self._client = client
            SweepCallback.running = self
        if workers:
            keep_chosen_threads()
            interrupt.await_workers()

    def close(self, status: str) -> bool:
        """End the parent run and write the report of what there is; once.

        Returns:
            False where the store could not be written, and so has no report.
        """
        if self._client is None or self._sweep is None:
            return True
        from transfer.report import select_from, write_report
        from transfer.tracking.find import find_sweep_run
        from transfer.tracking.store import answering
        from transfer.tracking.sweep_run import end_dead_runs

        with interrupt.deferred():
            client, sweep, self._sweep = self._client, self._sweep, None
            assert self._lock is not None
            try:
                with answering(client.tracking_uri, "written"):
                    if status != "FINISHED":
                        end_dead_runs(client, sweep)
                    client.set_terminated(sweep.run_id, status)
            except ConfigError as error:
                print(f"{error}: no report yet; once it can:\n{resume_command()}", file=sys.stderr)
                return False
            finally:
                self._lock.release()
        selection = select_from(client, [find_sweep_run(client, sweep.run_id)])
        report = write_report(client, selection, self._folder)
        print(f"\nreport: {_shortest(report)}", flush=True)
        return True


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a signal end a run and its sweep as KILLED, with a report of what is done; give a line
    to what Hydra refuses, and to a launcher that fails."""
    interrupt.listen(f"stopped; to go on:\n{resume_command()}")
    # Hydra prints a traceback for some mistakes on the command line, such as model=7: so what it
    # raises comes here.
    asked_for = os.environ.setdefault(FULL_ERROR, "0") == "1"
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    except KeyboardInterrupt:
        _end_interrupted()
    except Exception as error:
        sweep = SweepCallback.running
        if interrupt.requested():
            _end_interrupted()
        if sweep is None:
            if asked_for:
                raise
            exit_with_refusal(error)
        if type(error).__name__ == "TerminatedWorkerError":
            # Joblib's own words guess at length.
            print(f"\n{_WORKER_DIED}", file=sys.stderr)
        else:
            traceback.print_exc()
        sweep.close("FAILED")
        print(f"to go on:\n{resume_command()}", file=sys.stderr)
        sys.exit(1)


def resume_command() -> str:
    """What was typed, with `resume=true`."""
    arguments = [each for each in sys.orig_argv if not each.startswith("resume=")]
    return shlex.join([*arguments, "resume=true"])


def _end_interrupted() -> NoReturn:
    if SweepCallback.running is not None:
        SweepCallback.running.close("KILLED")
    print(f"interrupted; to go on:\n{resume_command()}", file=sys.stderr)
    sys.exit(interrupt.EXIT_CODE)


def exit_with_refusal(error: Exception) -> NoReturn:
    """Print what Hydra says of a command line or a file that it refuses, and leave with code 1.

    Any other error is a bug of ours, and raised again.
    """
    if not _comes_from_hydra(error):
        raise error
    print(error if str(error) else type(error).__name__, file=sys.stderr)
    if isinstance(error.__cause__, OmegaConfBaseException):
        print(error.__cause__, file=sys.stderr)
    print(f"\n{FULL_ERROR}=1 in the environment shows where it comes from.", file=sys.stderr)
    sys.exit(1)


def _comes_from_hydra(error: Exception) -> bool:
    if isinstance(error, HydraException | OmegaConfBaseException):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    raising = frames[-1].f_globals["__name__"] if frames else ""
    return raising.partition(".")[0] in ("hydra", "omegaconf", "yaml", "antlr4")


def _tell_twins(jobs: Sequence[PlannedJob], trainings: Sequence[str]) -> None:
    """Warn of jobs that would give one result twice under two names.

    Args:
        trainings: of each job, what it does.
    """
    alike: dict[str, dict[str, str]] = {}
    for job, training in zip(jobs, trainings, strict=True):
        alike.setdefault(training, {})[job.fingerprint] = job.overrides
    for twins in alike.values():
        if len(twins) > 1:
            log.warning("%s:\n  %s", _TWINS, "\n  ".join(twins.values()))


def _lock_alone(folder: Path) -> FileLock:
    from filelock import Timeout

    from transfer.tracking.previous_run import lock_of

    lock = lock_of(folder)
    try:
        lock.acquire()
    except Timeout as error:
        problem = "another sweep is writing there; choose another folder, or wait for it"
        raise ConfigError("hydra.sweep.dir", folder, problem) from error
    return lock


def _shortest(path: Path) -> Path:
    """Relative to where the user stands, if it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
