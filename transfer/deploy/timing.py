"""What one pass of a form of a network takes: measured in a process of its own, which holds nothing
else.

    python -m transfer.deploy.timing FILE THREADS

FILE is an exported file that this project has written, or a run's weights.safetensors, for torch's
own; the figures come as one line of JSON.
"""

import gc
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from transfer.deploy.classifier import load_classifier
from transfer.deploy.exported import open_own
from transfer.deploy.network import PixelNetwork
from transfer.evaluate.cost import passes_ms
from transfer.system.errors import UserError, printable
from transfer.system.memory import give_back, resident_bytes
from transfer.system.paths import REPOSITORY

BATCHES = {"latency": 1, "latency_64": 64}
_SCHEDULER = Path("/proc/self/schedstat")


class NotTimedError(UserError):
    """A file's passes could not be timed; the message is one line for people."""


def time_form(path: Path, threads: int) -> dict[str, float]:
    """Latency of one image and of 64 at once, median and 90th percentile in milliseconds, how many
    megabytes the network takes, and for which share of the time it `waited` for a core because
    something else had it, all in a fresh process.

    Args:
        threads: that it computes with.

    Raises:
        NotTimedError: the process failed, as where 64 images are more than memory holds.
    """
    command = [sys.executable, "-m", "transfer.deploy.timing", str(path.resolve()), str(threads)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2]
        reason = last or f"its process ended with {done.returncode}"
        if done.returncode == -signal.SIGKILL:
            reason = "its process was killed, as the system does where memory is full"
        raise NotTimedError(f"{printable(path.name)} could not be timed: {printable(reason)}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measure(path: Path, threads: int) -> dict[str, float]:
    """The same in this process: memory is what it holds more after the passes than before the file
    was read. What the system does not say is missing."""
    torch.set_num_threads(threads)
    before = _resident_mb()
    run, image_size = _open(path, threads)
    measured: dict[str, float] = {}
    start, waited = time.perf_counter(), _waited_s()
    for name, batch_size in BATCHES.items():
        images = torch.zeros(batch_size, 3, image_size, image_size)
        times = passes_ms(partial(run, images))
        measured[f"{name}_ms"] = statistics.median(times)
        p90 = statistics.quantiles(times, n=10, method="inclusive")[-1]
        measured[f"{name}_p90_ms"] = p90
    if waited is not None and (later := _waited_s()) is not None:
        measured["waited"] = (later - waited) / (time.perf_counter() - start)
    if before is not None and (after := _resident_mb()) is not None:
        measured["memory_mb"] = after - before
    return measured | {"threads": float(threads)}


def _resident_mb() -> float | None:
    # What was needed only to read the file is no part of it.
    gc.collect()
    give_back()
    try:
        return resident_bytes() / 1e6
    except OSError:
        return None


def _waited_s() -> float | None:
    """How long the main thread was ready to compute and had no core, by Linux's scheduler."""
    try:
        return int(_SCHEDULER.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None


def _open(path: Path, threads: int) -> tuple[Callable[[Tensor], Tensor], int]:
    if path.suffix == ".safetensors":
        classifier = load_classifier(path, torch.device("cpu"))
        network = PixelNetwork(classifier, softmax=True)
        return torch.inference_mode()(network), classifier.image_size
    exported = open_own(path, threads)
    return exported.run, exported.image_size


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
