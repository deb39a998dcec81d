"""Log runs that nobody trained, by the project's own tracking: a worker of the proof of a shared
server's limits.

    python -m tests.proofs.log_runs FOLDER FIRST COUNT
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from transfer.config.schema import KEYS
from transfer.tracking.run_state import Point, RunState, is_in_store
from transfer.tracking.store import Client, open_store
from transfer.tracking.stored_run import create_run
from transfer.tracking.sync import Sync

EPOCHS, ITERATIONS = 5, 20
AN_EPOCH = ("train/loss", "train/acc", "val/loss", "val/acc", "lr/head", "lr/backbone")
ONCE = ("best/val_acc", "test/acc", "test/loss", "test/ece", "profile/params", "time/train_s")
POINTS = EPOCHS * (ITERATIONS + len(AN_EPOCH)) + len(ONCE)
_FILE = "config.yaml"


def log_run(client: Client, folder: Path, number: int) -> list[float]:
    """One run, from its first line in the store to its last.

    Returns:
        of each epoch, the seconds until the store had its points.
    """
    folder.mkdir(parents=True)
    state = RunState(
        folder,
        f"model{number % 10}-freeze5-seed{number}",
        {"transfer.fingerprint": f"{number:016x}", "hydra.output_dir": str(folder)},
        params=dict.fromkeys(KEYS, "as ever"),
        data_set={"name": "made", "digest": "0" * 16, "source_type": "local", "source": "{}"},
    )
    create_run(client, state)
    (folder / _FILE).write_text("seed: 0\n" * 100)
    state.write(artifacts={_FILE: 1})
    sync = Sync(client, state)
    seconds = []
    for epoch in range(1, EPOCHS + 1):
        first = (epoch - 1) * ITERATIONS + 1
        now = int(time.time() * 1000)
        points = [Point(name, 1 / epoch, epoch, now) for name in AN_EPOCH]
        points += [
            Point("step/loss", 1 / step, step, now) for step in range(first, first + ITERATIONS)
        ]
        begin = time.perf_counter()
        state.append(points)
        sync.wake()
        while not is_in_store(folder):
            time.sleep(0.005)
        seconds.append(time.perf_counter() - begin)
    now = int(time.time() * 1000)
    state.append([Point(name, 0.5, 0, now) for name in ONCE])
    state.update(status="FINISHED", end_time=now)
    sync.wake()
    sync.finish(patience_s=300)
    assert str(sync) == "", sync
    return seconds


def main(folder: Path, first: int, count: int) -> None:
    client = open_store(os.environ["MLFLOW_TRACKING_URI"])
    # What imports take is no part of it.
    begin = time.process_time()
    epochs, runs = list[float](), list[float]()
    for number in range(first, first + count):
        start = time.perf_counter()
        epochs += log_run(client, folder / str(number), number)
        runs.append(time.perf_counter() - start)
    print(json.dumps({"epochs": epochs, "runs": runs, "cpu": time.process_time() - begin}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
