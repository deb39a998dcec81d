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
import importlib.util
import io
import json
import os
import runpy
import select
import signal
import site
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Protocol, TextIO, cast

# No module of this project: whether it imports what it needs is for each command to show.
LIBRARIES = (
    *("torch", "torch._dynamo", "torch.utils.flop_counter", "torch.profiler", "safetensors.torch"),
    *("hydra.main", "hydra.experimental.callback", "antlr4.LL1Analyzer", "omegaconf._impl"),
    *("filelock", "tabulate", "tqdm", "jinja2", "PIL.ImageOps", "email.policy"),
    *("pandas", "pyarrow.parquet", "pyarrow.pandas_compat", "pyarrow.dataset", "scipy.stats"),
    *("mlflow", "mlflow.store.tracking.sqlalchemy_store", "mlflow.artifacts"),
    *("mlflow.store.tracking.sqlalchemy_workspace_store", "torch.utils.serialization.config"),
    *("alembic.command", "sqlalchemy.dialects.sqlite", "sklearn.datasets", "PIL.JpegImagePlugin"),
    *("matplotlib.figure", "matplotlib.patheffects", "matplotlib.backends.backend_agg"),
)

# What imports torchvision: a file that stands alone, and is read anew by each command.
TORCHVISION = Path(__file__).resolve().parents[1] / "transfer" / "system" / "torchvision.py"

# What may change between the server's start and a command's: MLflow reads its own when it needs
# them, and the others are set by libraries, torch's compiler among them, and by pytest while tests
# run.
READ_LATE = (
    *("MLFLOW_", "_MLFLOW_", "KMP_", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR"),
    *("PYTEST_CURRENT_TEST", "PYTHONPATH"),
)

# Bytes in which a keeper tells a number.
_MESSAGE = 16


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
            call = [sys.executable, __file__, str(theirs.fileno()), self._bytecode.name]
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
        self._pid = int(self._status.read(_MESSAGE))
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
            self.returncode = int(self._status.read(_MESSAGE))
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


def serve(connection: socket.socket) -> None:
    """Fork for each request. Returns in a child only, which then is to run `sys.argv`."""
    while True:
        request, streams, _, _ = socket.recv_fds(connection, 2**20, 3)
        if not request:
            sys.exit()
        call, folder, changes = json.loads(request)
        started = len(streams) > 2
        pid = os.fork()
        if pid == 0:
            connection.close()
            if started:
                _keep(*streams)
            for number, stream in enumerate(streams[:2], start=1):
                os.dup2(stream, number)
            for stream in streams:
                os.close(stream)
            os.chdir(folder)
            for name, value in changes.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
            sys.argv = call
            sys.orig_argv[:] = [sys.executable, *(["-u"] if started else []), *call]
            if started:
                cast(io.TextIOWrapper, sys.stdout).reconfigure(write_through=True)
            if "PYTHONPATH" in changes:
                _take_path(os.environ.get("PYTHONPATH", ""))
            sys.path.insert(0, str(Path(call[0]).parent))
            return
        for stream in streams:
            os.close(stream)
        if started:
            os.waitpid(pid, 0)  # It left a keeper behind.
            continue
        connection.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _keep_bytecode(folder: str) -> None:
    """Write bytecode into a folder of its own where there is none beside the file."""
    usual = importlib.util.cache_from_source

    def cached(path: str, *args: Any, **options: Any) -> str:
        beside = usual(path, *args, **options)
        return beside if os.path.exists(beside) else folder + os.path.abspath(beside)  # noqa: PTH100, PTH110

    # What reads modules looks it up there.
    importlib._bootstrap_external.cache_from_source = cached  # type: ignore[attr-defined]
    sys.dont_write_bytecode = False


def _take_path(folders: str) -> None:
    """Look for modules in these folders first, and let theirs see to the start, as Python does."""
    sys.path[:0] = [folder for folder in folders.split(os.pathsep) if folder]
    sys.modules.pop("sitecustomize", None)
    site.execsitecustomize()


def _keep(stdout: int, stderr: int, status: int) -> None:
    """Fork twice: into a keeper, which tells the pid and the exit code of the other, the command.
    Returns in the command only."""
    if os.fork():
        os._exit(0)
    pid = os.fork()
    if pid == 0:
        # A shell in the background has it ignored, and children inherit that.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return
    os.close(stdout)
    os.close(stderr)
    with suppress(BrokenPipeError):  # Whoever has started it may be gone.
        os.write(status, b"%*d" % (_MESSAGE, pid))
        _, ended = os.waitpid(pid, 0)
        os.write(status, b"%*d" % (_MESSAGE, os.waitstatus_to_exitcode(ended)))
    os._exit(0)


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
    # It takes a declaration before, which lives as long as what makes it.
    declaring = runpy.run_path(str(TORCHVISION))
    declaring["load_torchvision"]()
    if sys.dont_write_bytecode:
        _keep_bytecode(sys.argv[2])
    # A collection in a child would write to, and thereby copy, all that it shares.
    gc.freeze()
    serve(socket.socket(fileno=int(sys.argv[1])))
    run_script()
