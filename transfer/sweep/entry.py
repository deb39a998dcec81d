"""One job as Hydra starts it: alone, in a sweep's process, or in a worker of a sweep."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from transfer.config import Config, typed_config
from transfer.sweep.callback import SweepCallback
from transfer.sweep.outcome import Outcome, write_outcome
from transfer.system import interrupt
from transfer.system.errors import ConfigError, exit_with, first_line, is_for_people

if TYPE_CHECKING:
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
    if not in_worker():
        interrupt.raise_if_requested()
        return _run_of_sweep(composed, train)
    try:
        with interrupt.job_of_worker():
            return _run_of_sweep(composed, train)
    except KeyboardInterrupt:
        # It must not reach the launcher, which would kill the other workers.
        return float("nan")


def in_worker() -> bool:
    """Whether this process was started by a sweep's launcher, beside the sweep's own."""
    return HydraConfig.get().mode == RunMode.MULTIRUN and SweepCallback.running is None


def job_number() -> int:
    """Of a job that shares the machine with others at the same time; 0 for one alone."""
    return int(HydraConfig.get().job.num) if in_worker() else 0


def _run_of_sweep(composed: DictConfig, train: Train) -> float:
    folder = job_folder()
    overrides = " ".join(HydraConfig.get().overrides.task)
    try:
        result = train(typed_config(composed), composed)
    except KeyboardInterrupt:
        write_outcome(folder, Outcome(overrides, "interrupted"))
        raise
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
        if not is_for_people(error):
            raise
        print(first_line(error), file=sys.stderr)
        sys.exit(1)


def _exit_if_undelivered() -> None:
    """The training is good, but a command that would read its run from the store comes too soon."""
    from transfer.tracking.undelivered import EXIT_CODE, noted_folders

    if noted_folders([job_folder()]):
        sys.exit(EXIT_CODE)


def _preview_single(config: Config) -> NoReturn:
    from transfer.sweep.preview import preview
    from transfer.tracking.store import open_store, store_uri

    preview(open_store(store_uri(config.tracking.uri)), [config])
    sys.exit(0)


def _one_line(error: Exception) -> str:
    text = first_line(error)
    # Of an error that is not written for people, the kind is half of the message.
    return text if is_for_people(error) else f"{type(error).__name__}: {text}"
