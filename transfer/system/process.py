"""Processes as they are noted down, so that another one can tell whether they still live."""

import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_IMPORTED = time.monotonic()


@dataclass(frozen=True)
class Process:
    """A process on some machine.

    Attributes:
        host: the machine's name.
        number: the system gives a dead process's number to another one some day.
        start: when it started, as `start_of` says it.
    """

    host: str
    number: int
    start: str

    @classmethod
    def this(cls) -> Self:
        """The process that asks."""
        number = os.getpid()
        return cls(socket.gethostname(), number, start_of(number))

    def may_live(self) -> bool:
        """Whether it lives, or may do so on a machine that is out of sight."""
        return self.host != socket.gethostname() or self.start == start_of(self.number) != ""

    def __str__(self) -> str:
        return f"process {self.number} on {self.host}"


def start_of(number: int) -> str:
    """When a process started, in the system's own way to say so; empty where there is none."""
    if not (_PROC / "self/stat").exists():
        return _start_by_ps(number)
    try:
        # The process's name comes in parentheses and may hold spaces; its state follows.
        fields = (_PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    if fields[0] in "ZX":
        return ""
    boot = (_PROC / "sys/kernel/random/boot_id").read_text()[:8]
    return f"{fields[19]} ticks after boot {boot}"


def age_of_process() -> float:
    """Seconds since this process started, or as far back as this module knows."""
    try:
        fields = (_PROC / "self/stat").read_text().rpartition(")")[2].split()
        ticks, up = int(fields[19]), float((_PROC / "uptime").read_text().split()[0])
        return max(up - ticks / os.sysconf("SC_CLK_TCK"), 0.0)
    except (OSError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED


def _start_by_ps(number: int) -> str:
    call = ["ps", "-o", "lstart=", "-p", str(number)]
    # Else the same moment has other words for another process.
    plain = os.environ | {"LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(
            call, capture_output=True, text=True, timeout=10, check=False, env=plain
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
