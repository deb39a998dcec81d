"""The first signal is heeded at the next safe moment; what was ignored stays so."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from transfer.system import interrupt

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Signals as train.py handles them, and as they were afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    interrupt.listen("")
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    interrupt._state = interrupt._State()


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_raises_once(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert interrupt.requested()
    # What ends a run is not torn apart by the same request, which may be delivered twice.
    with interrupt.deferred():
        signal.raise_signal(number)


def test_what_is_deferred_is_finished_first() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupt.deferred():
        with interrupt.deferred():
            signal.raise_signal(signal.SIGTERM)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_a_request_that_an_error_hid_stops_the_next_job() -> None:
    with pytest.raises(ValueError, match="no luck"), interrupt.deferred():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("no luck")
    with pytest.raises(KeyboardInterrupt):
        interrupt.raise_if_requested()


def test_the_second_signal_ends_the_process_with_its_last_words() -> None:
    program = (
        "import signal, time; from transfer.system import interrupt\n"
        "interrupt.listen('last words')\n"
        "with interrupt.deferred(): print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    start = time.monotonic()
    while process.poll() is None and time.monotonic() < start + 30:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    _, errors = process.communicate()
    assert process.returncode == 130
    first, last = errors.strip().splitlines()[0], errors.strip().splitlines()[-1]
    assert first.startswith("interrupted: the batch is finished") and last == "last words"


def test_what_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupt.listen("")
    signal.raise_signal(signal.SIGHUP)
    assert not interrupt.requested()
