"""Signals that ask for an end: the first is heeded at the next safe moment, the second at once.

Ctrl-C, SIGTERM, a closed terminal (SIGHUP) and the warnings that Slurm sends before a time limit
(SIGUSR1, SIGUSR2) all mean the same.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
# timeout(1) and srun may deliver one request twice.
_SAME_REQUEST_S = 0.3
EXIT_CODE = 130


@dataclass
class _State:
    """The state of this process; only its main thread runs signal handlers.

    Attributes:
        requested_at: when the first signal came, on the monotonic clock.
        number: of that signal; 0 before.
        raised: whether KeyboardInterrupt told so; it does once.
        deferred: how many `deferred` blocks we are in.
        awaits_workers: whether one of these is for as long as other processes do the work.
        worker: whether another process started this one, and decides what "at once" is.
        in_job: whether a worker has something to do.
        last_words: what is said before the end.
    """

    requested_at: float | None = None
    number: int = 0
    raised: bool = False
    deferred: int = 0
    awaits_workers: bool = False
    worker: bool = False
    in_job: bool = False
    last_words: str = ""


_state = _State()


def listen(last_words: str) -> None:
    """Let the signals raise KeyboardInterrupt, once, outside of `deferred`.

    Args:
        last_words: printed to the standard error where a second signal ends the process.
    """
    _state.last_words = last_words
    for number in SIGNALS:
        # What nohup, or a shell in the background, had us ignore stays ignored.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _handle)


def requested() -> bool:
    """Whether a signal came."""
    return _state.requested_at is not None


def received() -> int:
    """The number of the first signal that came; 0 where none did."""
    return _state.number


def raise_if_requested() -> None:
    """Raise KeyboardInterrupt for a signal that came in an earlier job, however that one ended."""
    if requested():
        _raise()


@contextmanager
def deferred() -> Iterator[None]:
    """What must not be torn apart: a signal in here raises KeyboardInterrupt at its end."""
    _state.deferred += 1
    try:
        yield
    finally:
        _state.deferred -= 1
    if requested() and not _state.deferred and not _state.raised:
        _raise()


def await_workers() -> None:
    """From here on a signal is passed on to the processes that this one started, and raises
    nothing: they end, and what waits for them returns."""
    _state.deferred += 1
    _state.awaits_workers = True
    # After workers that were killed, Python's own trackers clean up, and would have the last word.
    warnings = [os.environ.get("PYTHONWARNINGS", ""), "ignore:resource_tracker:UserWarning"]
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, warnings))


def workers_ended() -> None:
    """What follows is done by this process itself: a signal raises KeyboardInterrupt again."""
    if _state.awaits_workers:
        _state.awaits_workers = False
        _state.deferred -= 1


@contextmanager
def job_of_worker() -> Iterator[None]:
    """A job in a process that a launcher started: between its jobs, a signal must not raise into
    the launcher's code. Where the parent dies, the job ends as if a signal had come.

    Raises:
        KeyboardInterrupt: a signal came, now or in an earlier job.
    """
    if not _state.worker:
        _state.worker = True
        _state.deferred += 1
        listen("")
        threading.Thread(target=_watch_parent, args=(os.getppid(),), daemon=True).start()
    try:
        _state.in_job = True
        _state.deferred -= 1
        raise_if_requested()
        yield
    finally:
        _state.deferred += 1
        _state.in_job = False


def _handle(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _state.requested_at is not None:
        if not _state.worker and now - _state.requested_at > _SAME_REQUEST_S:
            _end_at_once()
        return
    _state.requested_at, _state.number = now, number
    _signal_workers(signal.SIGTERM)
    if not _state.deferred:
        _raise()
    if not _state.worker:
        _say("interrupted: the batch is finished and saved; a second signal stops at once")


def _raise() -> NoReturn:
    _state.raised = True
    raise KeyboardInterrupt


def _end_at_once() -> None:
    """As a power cut would: whatever is being written is written whole or not at all."""
    _signal_workers(getattr(signal, "SIGKILL", signal.SIGTERM))
    _say(_state.last_words)
    os._exit(EXIT_CODE)


def _signal_workers(number: int) -> None:
    for worker in multiprocessing.active_children():
        # Not its own terminate() and kill(): joblib's processes lack the second.
        if worker.pid is not None:
            with suppress(OSError):
                os.kill(worker.pid, number)


def _say(line: str) -> None:
    # Not print(): the signal may have come while the stream was being written.
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"\n{line}\n".encode())


def _watch_parent(parent: int) -> None:
    """A worker whose parent was killed has nobody to work for."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    while _state.in_job:
        time.sleep(0.5)
    # No further job will come.
    os._exit(EXIT_CODE)
