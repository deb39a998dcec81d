"""The process that commands of tests are forked from, started as a script by `processes.py`: it
imports libraries, and waits for requests."""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.util
import io
import json
import os
import runpy
import signal
import site
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, cast

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

# Bytes in which a keeper tells a number.
MESSAGE = 16


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
        os.write(status, b"%*d" % (MESSAGE, pid))
        _, ended = os.waitpid(pid, 0)
        os.write(status, b"%*d" % (MESSAGE, os.waitstatus_to_exitcode(ended)))
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
