"""Commands in processes that find the libraries imported: most of a short command's time is that.

A server, one for each pytest worker, imports what train.py and experiments/*.py import of others,
and forks a child for each command. The child is a process of its own, with its own pid, folder,
environment and streams. It imports this project anew and runs the script as `python script` does,
up to the end of the interpreter and its exit code; only the start is shared.
"""

from __future__ import annotations

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
from collections.abc import Sequence
from pathlib import Path

# No module of this project: whether it imports what it needs is for each command to show.
LIBRARIES = (
    *("torch", "torch._dynamo", "torch.utils.flop_counter", "torch.profiler", "safetensors.torch"),
    *("hydra.main", "hydra.experimental.callback", "filelock", "tabulate", "tqdm"),
    *("pandas", "pyarrow.parquet", "pyarrow.pandas_compat", "scipy.stats"),
    *("mlflow", "mlflow.store.tracking.sqlalchemy_store", "mlflow.artifacts"),
    *("alembic.command", "sqlalchemy.dialects.sqlite", "sklearn.datasets", "PIL.JpegImagePlugin"),
    *("matplotlib.figure", "matplotlib.patheffects", "matplotlib.backends.backend_agg"),
)

# These are read when they are needed. Others may be read while a library is imported.
READ_LATE = {"MLFLOW_TRACKING_URI", "PYTEST_CURRENT_TEST"}


class ForkServer:
    """The client's side; commands run one after another."""

    def __init__(self) -> None:
        self.environment = dict(os.environ)
        # It ends when this end of the connection is closed, as it is when this process ends.
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            call = [sys.executable, __file__, str(theirs.fileno())]
            self._process = subprocess.Popen(call, pass_fds=[theirs.fileno()])

    def run(
        self, call: Sequence[str], folder: Path, environment: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` with captured text.

        Args:
            call: a Python script and its arguments.
        """
        request = json.dumps([list(call), str(folder), environment]).encode()
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            socket.send_fds(self._connection, [request], [output.fileno(), errors.fileno()])
            self._connection.settimeout(None)
            pid = self._answer()
            try:
                self._connection.settimeout(timeout)
                code = self._answer()
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(call), timeout) from None
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
    changed = {name for name, _ in environment.items() ^ server.environment.items()}
    return server if changed <= READ_LATE else None


def serve(connection: socket.socket) -> None:
    """Fork for each request. Returns in a child only, which then is to run `sys.argv`."""
    while True:
        request, streams, _, _ = socket.recv_fds(connection, 2**20, 2)
        if not request:
            sys.exit()
        call, folder, environment = json.loads(request)
        pid = os.fork()
        if pid == 0:
            connection.close()
            for number, stream in enumerate(streams, start=1):
                os.dup2(stream, number)
                os.close(stream)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = call
            sys.orig_argv[:] = [sys.executable, *call]
            sys.path.insert(0, str(Path(call[0]).parent))
            return
        for stream in streams:
            os.close(stream)
        connection.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    # Not this folder: it holds tests alone, some under the name of a library.
    del sys.path[0]
    for name in LIBRARIES:
        importlib.import_module(name)
    # A collection in a child would write to, and thereby copy, all that it shares.
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_path(sys.argv[0], run_name="__main__")
