"""Which process works on a run, and whether it still lives."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

_PROC = Path("/proc")


def process_tags() -> dict[str, str]:
    """This process's host, number and start, by which another can tell whether it lives."""
    number = os.getpid()
    return {
        "transfer.host": socket.gethostname(),
        "transfer.process": str(number),
        # The system gives a dead process's number to another one some day.
        "transfer.process_start": start_of(number),
    }


def is_alive(tags: Mapping[str, str]) -> bool | None:
    """Whether the process of these tags lives; None where it is another machine's."""
    if tags.get("transfer.host") != socket.gethostname():
        return None
    number, start = tags.get("transfer.process", ""), tags.get("transfer.process_start", "")
    return start != "" and number.isdigit() and start_of(int(number)) == start


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


def _start_by_ps(number: int) -> str:
    call = ["ps", "-o", "lstart=", "-p", str(number)]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
