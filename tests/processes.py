"""Commands in processes that find the libraries imported: most of a short command's time is that.

A server, one for each pytest worker, imports what train.py and experiments/*.py import of others,
and forks a child for each command. The child is a process of its own, with its own pid, folder,
environment and streams. It imports this project anew and runs the script as `python script` does,
to its exit code; only what comes before is shared.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

# No module of this project: whether it imports what it needs is for each command to show.
LIBRARIES = (
    *("torch", "torch._dynamo", "torch.utils.flop_counter", "torch.profiler", "safetensors.torch"),
    *("hydra.main", "hydra.experimental.callback", "filelock", "tabulate", "tqdm"),
    *("pandas", "pyarrow.parquet", "pyarrow.pandas_compat", "scipy.stats"),
    *("mlflow", "mlflow.store.tracking.sqlalchemy_store", "mlflow.artifacts"),
    *("alembic.command", "sqlalchemy.dialects.sqlite", "sklearn.datasets", "PIL.JpegImagePlugin"),
    *("matplotlib.figure", "matplotlib.patheffects", "matplotlib.backends.backend_agg"),
)

# What may change between the server's start and a command's: MLflow reads its own when it needs
# them, and the others are set by libraries and by pytest while tests run.
READ_LATE = ("MLFLOW_", "_MLFLOW_", "KMP_", "TORCH_HOME", "PYTEST_CURRENT_TEST")


class ForkServer:
    """The client's side; commands run one after another."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)  # That of the server.
        # The server ends when this end of the connection is closed, or dies with this process.
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            call = [sys.executable, __file__, str(theirs.fileno())]
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
        request = json.dumps([list(call), str(folder), self.changes(environment)]).encode()
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            socket.send_fds(self._connection, [request], [output.fileno(), errors.fileno()])
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

    def _answer(self) -> int:
        return int(self._connection.recv(100))


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


def serve(connection: socket.socket) -> None:
    """Fork for each request. Returns in a child only, which then is to run `sys.argv`."""
    while True:
        request, streams, _, _ = socket.recv_fds(connection, 2**20, 2)
        if not request:
            sys.exit()
        call, folder, changes = json.loads(request)
        pid = os.fork()
        if pid == 0:
            connection.close()
            for number, stream in enumerate(streams, start=1):
                os.dup2(stream, number)
                os.close(stream)
            os.chdir(folder)
            for name, value in changes.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
            sys.argv = call
            sys.orig_argv[:] = [sys.executable, *call]
            sys.path.insert(0, str(Path(call[0]).parent))
            return
        for stream in streams:
            os.close(stream)
        connection.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def run_script() -> NoReturn:
    """Run `sys.argv`, and end as Python does, but leave the memory to the system.

    Python would take every module apart, and thereby copy most of what is shared: 0.4 s.
    """
    code: str | int | None = None
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            raise
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code or 0))


if __name__ == "__main__":
    # Not this folder: it holds tests alone, some under the name of a library.
    del sys.path[0]
    for name in LIBRARIES:
        importlib.import_module(name)
    # A collection in a child would write to, and thereby copy, all that it shares.
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
    run_script()
