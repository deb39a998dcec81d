"""Commands in processes that find the libraries imported: most of a short command's time is that.

A server, one for each pytest worker, imports what train.py and experiments/*.py import of others,
and forks a child for each command. The child is a process of its own, with its own pid, folder,
environment and streams. It imports this project anew and runs the script as `python script` does,
to its exit code; only what comes before is shared.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TextIO

from tests import forking
from tests.forking import MESSAGE

# What may change between the server's start and a command's: MLflow reads its own when it needs
# them, and the others are set by libraries, torch's compiler among them, and by pytest while tests
# run.
READ_LATE = (
    *("MLFLOW_", "_MLFLOW_", "KMP_", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR"),
    *("PYTEST_CURRENT_TEST", "PYTHONPATH"),
)


class Started(Protocol):
    """What tests do with a command that runs beside them: a part of `subprocess.Popen`."""

    @property
    def stdout(self) -> TextIO | None: ...
    @property
    def returncode(self) -> int | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...
    def communicate(self, input: None = None, timeout: float | None = None) -> tuple[str, str]: ...


class ForkServer:
    """The client's side. Of commands that are run there is one at a time; any number that were
    started may go on beside it."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)  # That of the server.
        # The server ends when this end of the connection is closed, or dies with this process.
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # For where Python may leave no bytecode beside files.
            self._bytecode = tempfile.TemporaryDirectory(prefix="transfer-bytecode-")
            call = [sys.executable, forking.__file__, str(theirs.fileno()), self._bytecode.name]
            self._process = subprocess.Popen(call, pass_fds=[theirs.fileno()])
        atexit.register(self.close)

    def close(self) -> None:
        self._connection.close()
        self._process.wait()

    def changes(self, environment: dict[str, str]) -> dict[str, str | None]:
        """The variables in which `environment` differs from the server's; None: it has none."""
        names = {name for name, _ in environment.items() ^ self.environment.items()}
        return {name: environment.get(name) for name in names}

    def run(
        self, call: Sequence[str], folder: Path, environment: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` with captured text.

        Args:
            call: a Python script and its arguments.
        """
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            self._request(call, folder, environment, [output.fileno(), errors.fileno()])
            pid = self._answer()
            self._connection.settimeout(timeout)
            try:
                code = self._answer()
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._connection.settimeout(None)
                self._answer()
                raise subprocess.TimeoutExpired(list(call), timeout) from None
            self._connection.settimeout(None)
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(list(call), code, output.read(), errors.read())

    def start(
        self,
        call: Sequence[str],
        folder: Path,
        environment: dict[str, str],
        stdout: int = subprocess.PIPE,
    ) -> Started:
        """As `subprocess.Popen` of `python -u` with text pipes.

        Args:
            call: a Python script and its arguments.
            stdout: a file descriptor for both output and errors, or PIPE.
        """
        status, told = os.pipe()
        errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        read: int | None = None
        write = stdout
        if stdout == subprocess.PIPE:
            read, write = os.pipe()
        stderr = errors.fileno() if read is not None else stdout
        self._request(call, folder, environment, [write, stderr, told])
        os.close(told)
        if read is not None:
            os.close(write)
        return _Forked(status, read, errors)

    def _request(
        self, call: Sequence[str], folder: Path, environment: dict[str, str], streams: list[int]
    ) -> None:
        request = json.dumps([list(call), str(folder), self.changes(environment)]).encode()
        socket.send_fds(self._connection, [request], streams)

    def _answer(self) -> int:
        return int(self._connection.recv(100))


class _Forked:
    """A command that was started.

    Args:
        status: where its keeper tells its pid and, when it has ended, its exit code.
        stdout: what it prints, if that comes through a pipe.
        errors: the file of its standard error.
    """

    def __init__(self, status: int, stdout: int | None, errors: TextIO) -> None:
        self._status = os.fdopen(status, "rb", buffering=0)
        self._pid = int(self._status.read(MESSAGE))
        self.stdout = None if stdout is None else os.fdopen(stdout)
        self._errors = errors
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                assert timeout is not None
                raise subprocess.TimeoutExpired(str(self._pid), timeout)
            self.returncode = int(self._status.read(MESSAGE))
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self._pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: None = None, timeout: float | None = None) -> tuple[str, str]:
        assert self.stdout is not None and timeout is not None
        late = threading.Timer(timeout, self.kill)
        late.start()
        output = self.stdout.read()
        late.cancel()
        self.wait(timeout)
        self._errors.seek(0)
        return output, self._errors.read()


@functools.cache
def _server() -> ForkServer:
    return ForkServer()


def fork_server(environment: dict[str, str]) -> ForkServer | None:
    """This process's server, where one can be and a command in `environment` may use it."""
    if sys.platform != "linux":
        return None  # Elsewhere the libraries do not outlive a fork.
    server = _server()
    late = all(name.startswith(READ_LATE) for name in server.changes(environment))
    return server if late else None
