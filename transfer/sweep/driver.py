"""A sweep from its checks to its report, in the process that drives it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from transfer.config import Config, refuse_unused, typed_config
from transfer.job import memory_explained, prepare
from transfer.report.write import write_report
from transfer.sweep import state
from transfer.sweep.compose import compose_jobs, plans_all
from transfer.sweep.endings import exit_interrupted, resume_command
from transfer.sweep.folders import claim_folder
from transfer.sweep.launcher import has_workers, keep_chosen_threads
from transfer.sweep.preview import preview
from transfer.system import interrupt
from transfer.system.errors import ConfigError
from transfer.tracking.previous_run import lock_of
from transfer.tracking.run_weights import fetch_run_weights
from transfer.tracking.selection import select
from transfer.tracking.store import answering, open_store, store_uri
from transfer.tracking.sweep_run import PlannedJob, SweepRun, end_dead_runs, open_sweep
from transfer.tracking.sync import EXIT_CODE, deliver_noted, delivery_command

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

_TWINS = "these jobs train the same, for they differ in keys that none of them uses"


@dataclass(frozen=True)
class SweepPlan:
    """A sweep whose jobs have all been checked, in a folder that is locked for it.

    Attributes:
        overrides: the command line's.
        jobs: all of them; none where the sweeper chooses them as it goes.
        resume: whether to go on with an earlier sweep of the same jobs.
    """

    client: MlflowClient
    folder: Path
    lock: FileLock
    overrides: Sequence[str]
    jobs: Sequence[PlannedJob]
    resume: bool
    has_workers: bool

    def open(self) -> RunningSweep:
        """Create the parent run, or take over that of the same jobs.

        Raises:
            ConfigError: another process is running the same sweep, or the store cannot be written.
        """
        run = open_sweep(self.client, self.folder, self.overrides, self.jobs, resume=self.resume)
        state.write_sweep(self.folder, run)
        return RunningSweep(self.client, run, self.folder, self.lock)


def plan_sweep(config: DictConfig) -> SweepPlan:
    """Compose and check every job of a sweep before the first one starts; ends the process after
    the table with `preview=true`.

    Raises:
        ConfigError: a job cannot run, or the folder or the store cannot be used.
    """
    jobs = [(typed_config(composed), overrides) for overrides, composed in compose_jobs(config)]
    refuse_unused(jobs)
    workers = has_workers(config)
    client = open_store(store_uri(OmegaConf.select(config, "tracking.uri")))
    if OmegaConf.select(config, "preview"):
        preview(client, [job for job, _ in jobs])
        sys.exit(0)
    planned = _prepare_all(jobs)
    folder = claim_folder(config, "hydra.sweep.dir")
    lock = _lock_alone(folder)
    state.forget_outcomes(folder)
    if workers:
        keep_chosen_threads()
    return SweepPlan(
        client=client,
        folder=folder,
        lock=lock,
        overrides=[each for each in config.hydra.overrides.task if not each.startswith("resume=")],
        jobs=planned if plans_all(config) else [],
        resume=bool(OmegaConf.select(config, "resume")),
        has_workers=workers,
    )


class RunningSweep:
    """A sweep whose parent run is open.

    Args:
        folder: of the sweep.
        lock: of that folder, acquired.
    """

    def __init__(self, client: MlflowClient, run: SweepRun, folder: Path, lock: FileLock) -> None:
        self._client = client
        self._run = run
        self._folder = folder
        self._lock = lock
        self._closed = False

    def end(self) -> None:
        """After the last job: deliver what the store lacks, close and report.

        Ends the process with a code other than 0 where a job failed, or the store lacks something.
        """
        outcomes = state.read_outcomes(self._folder)
        if interrupt.requested() or any(each.interrupted for each in outcomes.values()):
            self.close("KILLED")
            exit_interrupted()
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
            sys.exit(1)
        if left or not closed:
            sys.exit(EXIT_CODE)

    def close(self, status: str) -> bool:
        """End the parent run and write the report of what there is; once.

        Returns:
            False where the store could not be written, and so has no report.
        """
        if self._closed:
            return True
        with interrupt.deferred():
            self._closed = True
            try:
                with answering(self._client.tracking_uri, "written"):
                    if status != "FINISHED":
                        end_dead_runs(self._client, self._run)
                    self._client.set_terminated(self._run.run_id, status)
            except ConfigError as error:
                print(f"{error}: no report yet; once it can:\n{resume_command()}", file=sys.stderr)
                return False
            finally:
                self._lock.release()
        selection = select(self._client, self._run.run_id)
        report = write_report(self._client, selection, self._folder)
        print(f"\nreport: {_shortest(report)}", flush=True)
        return True


def _prepare_all(jobs: Sequence[tuple[Config, Sequence[str]]]) -> list[PlannedJob]:
    planned, alike = [], dict[str, list[str]]()
    for config, overrides in jobs:
        with memory_explained(config):
            # Not kept: it holds the weights.
            job = prepare(config, weights=fetch_run_weights(config))
        planned.append(PlannedJob(job.name, " ".join(overrides), job.fingerprint))
        alike.setdefault(job.fingerprint, []).append(planned[-1].overrides)
    for twins in alike.values():
        if len(twins) > 1:
            log.warning("%s:\n  %s", _TWINS, "\n  ".join(twins))
    return planned


def _lock_alone(folder: Path) -> FileLock:
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
