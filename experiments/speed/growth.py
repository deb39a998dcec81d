"""How time and memory grow with images, image size, batch and number of runs."""

import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from experiments.speed.contest import endless, job_of
from experiments.speed.options import Options
from transfer.system.device import keep_freed_memory
from transfer.system.memory import PeakMemory
from transfer.system.paths import REPOSITORY

# Doubled step by step from these, three times.
_IMAGES, _SIZE, _BATCH_SIZE, _RUNS = 1000, 32, 32, 1
_DOUBLINGS = 4


def growth_table(options: Options) -> str:
    """Seconds and peak memory of unfrozen epochs, each in a process of its own, and of sweeps: what
    training needs at once, but of a sweep what its whole process held."""
    rows = []
    overrides = options.overrides
    for model in options.model_names:
        for step in range(_DOUBLINGS):
            images = _IMAGES * 2**step
            rows.append([model, "images", images, *_apart(model, overrides, images)])
        for step in range(_DOUBLINGS):
            size = _SIZE * 2**step
            more = (*overrides, f"image_size={size}")
            rows.append([model, "image size, px", size, *_apart(model, more, _IMAGES)])
        for step in range(_DOUBLINGS):
            batch_size = _BATCH_SIZE * 2**step
            more = (*overrides, f"batch_size={batch_size}")
            rows.append([model, "batch", batch_size, *_apart(model, more, _IMAGES)])
        for step in range(_DOUBLINGS):
            runs = _RUNS * 2**step
            rows.append([model, "runs of a sweep", runs, *_sweep(model, overrides, runs)])
    headers = ["model", "what grows", "to", "seconds", "seconds each", "peak memory, MB"]
    return tabulate(rows, headers, tablefmt="github", floatfmt=",.2f", intfmt=",")


def _apart(model: str, overrides: Sequence[str], images: int) -> tuple[float, str, float]:
    """An epoch in a process of its own, whose memory has seen nothing else."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        seconds, memory = pool.apply(_epoch, ((f"model={model}", *overrides), images))
    return seconds, f"{1e3 * seconds / images:.2f} ms an image", memory


def _epoch(overrides: Sequence[str], images: int) -> tuple[float, float]:
    """Seconds of a second epoch, training and validation, and peak memory in MB."""
    keep_freed_memory()
    job = job_of(*overrides, images=images)
    with PeakMemory(job.device, job.bytes_held) as memory:
        run = endless(job, frozen=False)
        run()
        start = time.perf_counter()
        run()
        seconds = time.perf_counter() - start
    return seconds, memory.stop() or math.nan


def _sweep(model: str, overrides: Sequence[str], runs: int) -> tuple[float, str, float]:
    """A whole sweep over seeds as a user starts it: two epochs of 500 images each."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/mlflow.db"
        seeds = ",".join(str(seed) for seed in range(runs))
        words = [f"model={model}", "epochs=2", "data.train_per_class=50", f"seed={seeds}"]
        call = [sys.executable, str(REPOSITORY / "train.py"), "-m", *overrides, *words]
        call += ["freeze_epochs=0", f"hydra.sweep.dir={folder}/sweep"]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": store}
        start = time.perf_counter()
        with (Path(folder) / "log").open("w") as log:
            # From where the user stands: data.root may be relative.
            process = subprocess.Popen(call, env=environment, stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            raise RuntimeError((Path(folder) / "log").read_text())
    # In units of 1,024 bytes, as Linux counts.
    return seconds, f"{seconds / runs:.1f} s a run", usage.ru_maxrss * 1024 / 1e6
