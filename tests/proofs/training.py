"""A training as a user starts it, watched from outside; and a real MLflow server on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from tests.conftest import Workplace


class Training:
    """train.py in a process of its own, with the time at which each epoch's line came.

    Args:
        wrapper: a program, with arguments, that starts it.
    """

    def __init__(
        self, folder: Path, store: str, *arguments: str, wrapper: Sequence[str] = ()
    ) -> None:
        self.epoch_ends: list[float] = []
        self.output = ""
        place = Workplace(folder, store)
        self._process = place.start_from_scratch(
            *arguments, wrapper=wrapper, stderr=subprocess.STDOUT
        )
        self.id = self._process.pid
        self._reader = Thread(target=self._read)
        self._reader.start()

    def wait_for_epoch(self, number: int) -> None:
        while len(self.epoch_ends) < number:
            assert self._process.poll() is None, self.output
            time.sleep(0.05)

    def wait(self) -> int:
        """The exit code, after the end."""
        code = self._process.wait(timeout=1200)
        self._reader.join()
        return code

    def epoch_seconds(self, begin: float, end: float) -> list[float]:
        """What each epoch took that lies within this time, all that surrounds it included."""
        pairs = zip(self.epoch_ends, self.epoch_ends[1:], strict=False)
        return [after - before for before, after in pairs if begin <= before and after <= end]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("epoch"):
                self.epoch_ends.append(time.monotonic())
            self.output += line


class Server:
    """`mlflow server` with proxied artifacts, at the same port whenever it is started.

    Args:
        database: an SQLite database in the folder, unless it is given.
        workers: processes that answer.
    """

    def __init__(self, folder: Path, database: str = "", workers: int = 1) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self.database = database or f"sqlite:///{folder}/mlflow.db"
        self._folder, self._workers = folder, workers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return int(self._port)

    @property
    def id(self) -> int:
        """The id of its first process, and of the group of all."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        program = [sys.executable, "-m", "mlflow", "server", "--workers", f"{self._workers}"]
        program += ["--host", "127.0.0.1", "--port", str(self._port)]
        program += ["--backend-store-uri", self.database]
        program += ["--artifacts-destination", str(self._folder / "artifacts")]
        # A worker that does not answer for 5 s would be killed, and another one begun, which on a
        # busy machine takes longer than that to begin: so without end.
        program += ["--uvicorn-opts", "--timeout-worker-healthcheck 120"]
        with (self._folder / "server.log").open("a") as log:
            # Without what evaluates language models: eight processes, which take long to start.
            environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
            self._process = subprocess.Popen(
                program, stdout=log, stderr=log, env=environment, process_group=0
            )
        end = time.monotonic() + 900
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "server.log").read_text()
            assert time.monotonic() < end, (self._folder / "server.log").read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        """Kill it, unless it is dead already."""
        assert self._process is not None
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Signal the server and its workers."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
