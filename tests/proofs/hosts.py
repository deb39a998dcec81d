"""Machines of a team, played by one: each has its own name, its own copy of the project, its own
home and cache, and sees no folder of another."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

from tests.conftest import ROOT

_PARTS = ("train.py", "conf", "transfer", "experiments", "hydra_plugins")
# What trains from random weights needs neither.
_LEFT_OUT = shutil.ignore_patterns("starter_weights", "results", "__pycache__")
# Within namespaces of its own: names the machine, and hides what others have.
_BEGIN = 'hostname "$1"; shift; while [ "$1" != -- ]; do mount -t tmpfs none "$1"; shift; done'


def can_play_hosts() -> bool:
    """Whether this user may make the namespaces: as root on Linux."""
    try:
        test = ["unshare", "--mount", "--uts", "mount", "-t", "tmpfs", "none", "/mnt"]
        return subprocess.run(test, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


class Host:
    """A machine that reaches the others' only through a server.

    Args:
        folder: to be made; everything that the machine has.
        address: of the tracking server.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self._address = folder, address
        self.name = folder.name
        self.project = folder / "project"
        self.project.mkdir(parents=True)
        (folder / "home").mkdir()
        for part in _PARTS:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, self.project / part, ignore=_LEFT_OUT)
            else:
                shutil.copy(source, self.project / part)

    def start(self, script: str, *arguments: str, hidden: Sequence[Path]) -> Command:
        """Start a script of this machine's copy.

        Args:
            hidden: the folders of all else.
        """
        begin = ["unshare", "--mount", "--uts", "sh", "-ec", f'{_BEGIN}; shift; exec "$@"', "sh"]
        program = [sys.executable, "-u", str(self.project / script), *arguments]
        environment = os.environ | {
            "MLFLOW_TRACKING_URI": self._address,
            "TRANSFER_CACHE": str(self.folder / "cache"),
            "HOME": str(self.folder / "home"),
            # The copy, whatever is installed.
            "PYTHONPATH": str(self.project),
        }
        process = subprocess.Popen(
            [*begin, self.name, *map(str, hidden), "--", *program],
            cwd=self.project,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return Command(process)


class Command:
    """A command that runs on a machine, with what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.output = ""
        self._process = process
        self._reader = Thread(target=self._read)
        self._reader.start()

    @property
    def epochs(self) -> int:
        """How many it has trained."""
        return sum(line.startswith("epoch") for line in self.output.splitlines())

    def wait_for_epoch(self, number: int) -> None:
        while self.epochs < number:
            assert self._process.poll() is None, self.output
            time.sleep(0.05)

    def wait(self) -> int:
        """The exit code, after the end."""
        code = self._process.wait(timeout=2700)
        self._reader.join()
        return code

    def kill(self) -> None:
        """Kill it with every process that it has started, unless it is dead."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
