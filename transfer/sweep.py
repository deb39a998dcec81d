"""What surrounds a job: errors for people, and the start and the end of a sweep.

Hydra composes the jobs and launches them; `SweepCallback` checks all of them before the first
one starts, and reports when the last one has ended. Imports of weight stay inside functions:
Hydra loads this module even to print its help.
"""

from __future__ import annotations

import logging
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transfer.config import Config, ConfigError, first_line, typed_config
from transfer.outcome import Outcome, read_outcomes, write_outcome

if TYPE_CHECKING:
    from filelock import FileLock
    from mlflow import MlflowClient

    from transfer.tracking.sweep_run import SweepRun

log = logging.getLogger(__name__)

Train = Callable[[Config, DictConfig], float]


def run_job(composed: DictConfig, train: Train) -> float:
    """Run one job; in a sweep a failure is noted and the other jobs go on.

    Returns:
        The job's number; NaN where it failed, which is what Hydra's sweepers expect then.
    """
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return _run_single(composed, train)
    folder = job_folder()
    overrides = " ".join(HydraConfig.get().overrides.task)
    try:
        result = train(typed_config(composed), composed)
    except Exception as error:
        reason = _one_line(error)
        log.error("job %s (%s) failed: %s", folder.name, overrides, reason)
        # The whole story goes to the job's folder, unless the disk is full; the sweep's table names
        # the job at the end.
        with suppress(OSError):
            (folder / "traceback.txt").write_text(traceback.format_exc())
        write_outcome(folder, Outcome(overrides, "failed", reason))
        return float("nan")
    write_outcome(folder, Outcome(overrides, "finished"))
    return result


def job_folder() -> Path:
    """Where Hydra lets this job write."""
    return Path(HydraConfig.get().runtime.output_dir)


def current_sweep() -> SweepRun | None:
    """The sweep that this job is part of."""
    from transfer.tracking.sweep_run import find_sweep

    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return None
    return find_sweep(Path(HydraConfig.get().sweep.dir).absolute())


class SweepCallback(Callback):
    """Checks, opens, closes and reports a sweep; named in conf/config.yaml."""

    running: ClassVar[SweepCallback | None] = None

    def __init__(self) -> None:
        self._client: MlflowClient | None = None
        self._sweep: SweepRun | None = None
        self._lock: FileLock | None = None
        self._folder = Path()

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:
        try:
            jobs = _compose_jobs(config)
        except (HydraException, OmegaConfBaseException):
            # The sweeper meets the same error next, and Hydra has its own words for it.
            return
        try:
            self._check_and_open(config, jobs)
        except ConfigError as error:
            exit_with(error)
        except Exception:
            # Hydra would only warn, and go on without a parent run.
            traceback.print_exc()
            sys.exit(1)

    def on_multirun_end(self, config: DictConfig, **kwargs: object) -> None:
        if self._sweep is None:
            return
        from transfer.tracking.undelivered import EXIT_CODE, deliver_noted, delivery_command

        outcomes = read_outcomes(self._folder)
        failed = {name: each for name, each in outcomes.items() if each.status == "failed"}
        left = deliver_noted(self._folder)
        closed = self._close("FAILED" if failed else "FINISHED")
        if left:
            jobs = f"{len(left)} of {len(outcomes)} jobs are trained, but not all in the store"
            print(f"{jobs}; to deliver the rest: {delivery_command(left)}", file=sys.stderr)
        if failed:
            print(f"\n{len(failed)} of {len(outcomes)} jobs failed:", file=sys.stderr)
            for name, outcome in failed.items():
                print(f"  {name}  {outcome.overrides}: {outcome.error}", file=sys.stderr)
            # Hydra only warns of an exception in a callback; an exit it lets through.
            sys.exit(1)
        if left or not closed:
            sys.exit(EXIT_CODE)

    def _check_and_open(self, config: DictConfig, jobs: list[tuple[list[str], DictConfig]]) -> None:
        from transfer.job import prepare
        from transfer.preview import preview
        from transfer.tracking.former import lock_of
        from transfer.tracking.store import open_store, store_uri
        from transfer.tracking.sweep_run import PlannedJob, open_sweep

        tracking_uri = OmegaConf.select(config, "tracking.uri")
        client = open_store(store_uri(tracking_uri))
        if OmegaConf.select(config, "preview"):
            preview(client, [typed_config(composed) for _, composed in jobs])
            sys.exit(0)
        planned = []
        for overrides, composed in jobs:
            job = prepare(typed_config(composed))
            planned.append(PlannedJob(job.name, " ".join(overrides), job.fingerprint))
        self._client = client
        self._folder = Path(config.hydra.sweep.dir).absolute()
        task = [each for each in config.hydra.overrides.task if not each.startswith("resume=")]
        resume = bool(OmegaConf.select(config, "resume"))
        self._sweep = open_sweep(client, self._folder, task, planned, resume=resume)
        self._lock = lock_of(self._folder)
        self._lock.acquire()
        SweepCallback.running = self

    def interrupted(self) -> None:
        """Close a sweep that never reaches `on_multirun_end`."""
        self._close("KILLED")

    def _close(self, status: str) -> bool:
        """End the parent run and write the report of what there is; once.

        Returns:
            False where the store could not be written, and so has no report.
        """
        if self._client is None or self._sweep is None:
            return True
        from transfer.report import select_from, write_report
        from transfer.tracking.environment import command
        from transfer.tracking.find import find_sweep_run
        from transfer.tracking.store import answering

        client, sweep, self._sweep = self._client, self._sweep, None
        assert self._lock is not None
        self._lock.release()
        try:
            with answering(client.tracking_uri, "written"):
                client.set_terminated(sweep.run_id, status)
        except ConfigError as error:
            print(f"{error}: no report yet; once it can: {command()} resume=true", file=sys.stderr)
            return False
        selection = select_from(client, [find_sweep_run(client, sweep.run_id)])
        report = write_report(client, selection, self._folder)
        print(f"\nreport: {_shortest(report)}")
        return True


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C or SIGTERM end a run and its sweep as KILLED, with a report of what is done."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        if SweepCallback.running is not None:
            SweepCallback.running.interrupted()
        arguments = [each for each in sys.argv[1:] if not each.startswith("resume=")]
        again = shlex.join(["python", sys.argv[0], *arguments, "resume=true"])
        print(f"interrupted; to go on: {again}", file=sys.stderr)
        sys.exit(130)


def exit_with(error: ConfigError) -> NoReturn:
    """Print the error's one line and leave with code 2."""
    print(error, file=sys.stderr)
    sys.exit(2)


def _run_single(composed: DictConfig, train: Train) -> float:
    try:
        config = typed_config(composed)
        if config.preview:
            _preview_single(config)
        result = train(config, composed)
        _exit_if_undelivered()
        return result
    except ConfigError as error:
        exit_with(error)
    except Exception as error:
        if not _is_for_people(error):
            raise
        print(error, file=sys.stderr)
        sys.exit(1)


def _exit_if_undelivered() -> None:
    """The training is good, but a command that would read its run from the store comes too soon."""
    from transfer.tracking.undelivered import EXIT_CODE, noted_folders

    if noted_folders([job_folder()]):
        sys.exit(EXIT_CODE)


def _preview_single(config: Config) -> NoReturn:
    from transfer.preview import preview
    from transfer.tracking.store import open_store, store_uri

    preview(open_store(store_uri(config.tracking.uri)), [config])
    sys.exit(0)


def _compose_jobs(config: DictConfig) -> list[tuple[list[str], DictConfig]]:
    """The overrides and the configuration of every job, just as the sweeper will compose them.

    Sweepers that choose as they go (Optuna) cannot say beforehand: of those, only the
    configuration without the swept keys is composed.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    loader = GlobalHydra.instance().config_loader()
    arguments = list(config.hydra.overrides.task)
    sweeper = config.hydra.sweeper
    if sweeper._target_.endswith(".BasicSweeper"):
        arguments = [f"{key}={value}" for key, value in (sweeper.params or {}).items()] + arguments
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(arguments)
        [batch] = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    else:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(arguments)
        batch = [[str(each.input_line) for each in parsed if not each.is_sweep_override()]]
    return [(overrides, loader.load_sweep_config(config, overrides)) for overrides in batch]


def _one_line(error: Exception) -> str:
    text = first_line(error)
    # Of an error that is not written for people, the kind is half of the message.
    return text if _is_for_people(error) else f"{type(error).__name__}: {text}"


def _is_for_people(error: Exception) -> bool:
    from transfer.disk import DiskError
    from transfer.fit import TrainingDivergedError

    return isinstance(error, ConfigError | DiskError | TrainingDivergedError)


def _shortest(path: Path) -> Path:
    """Relative to where the user stands, if it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
