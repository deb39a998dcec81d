"""A sweep that is killed again and again ends as one that never was.

Real processes, `python train.py -m …`, four runs on the digits. The moments come from a seed,
which is printed; PROOF_SEED sets another.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.entities import Run

from tests.conftest import TIMED, Workplace, children

SWEEP = (
    *("-m", "model=simple_cnn,mobilenet_v3_small", "weights=none", "freeze_epochs=0,3"),
    *("epochs=20", "data.train_per_class=40", "batch_size=20", "schedule=one_cycle"),
    "augment.rotation=10",
)
SEED = int(os.environ.get("PROOF_SEED", "20261125"))

# A shell in the background has it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def undisturbed(new_workplace: Callable[[], Workplace]) -> Workplace:
    place = new_workplace()
    process = _start(place)
    process.communicate()
    assert process.returncode == 0
    return place


@pytest.mark.parametrize(
    ("by", "times"), [(signal.SIGKILL, 20), (signal.SIGTERM, 8), (signal.SIGINT, 8)]
)
def test_a_sweep_that_is_ended_at_random_moments(
    undisturbed: Workplace, new_workplace: Callable[[], Workplace], by: signal.Signals, times: int
) -> None:
    place, moments = new_workplace(), random.Random(SEED + by)
    where: Counter[str] = Counter()
    for number in range(times):
        where[end_at_a_random_moment(place, SWEEP, moments, by)] += 1
        print(f"{by.name} {number + 1}/{times}", dict(where), flush=True)
    last = _start(place, "resume=true")
    last.communicate()
    assert last.returncode == 0
    points = _require_equal(place, undisturbed)
    told = ", ".join(f"{count} {what}" for what, count in sorted(where.items()))
    print(
        f"\n{by.name}: {times} times from seed {SEED} ({told}); {points} points of 4 runs, "
        "histories and best weights are those of the undisturbed sweep"
    )


def _start(place: Workplace, *more: str) -> subprocess.Popen[str]:
    return place.start_from_scratch(*SWEEP, *more)


def end_at_a_random_moment(
    place: Workplace, sweep: Sequence[str], moments: random.Random, by: signal.Signals
) -> str:
    """Start, wait for some epochs or for some seconds, and signal.

    Returns:
        When the signal came: before, in, or between trainings.
    """
    process = place.start_from_scratch(*sweep, "resume=true")
    assert process.stdout is not None
    lines: list[str] = []
    seen = threading.Condition()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with seen:
                lines.append(line)
                seen.notify()

    reader = threading.Thread(target=read)
    reader.start()
    epochs = moments.choice([0, 1, 1, 2, 2, 3])
    # Most of what a start takes is to import libraries and to look at the jobs.
    delay = moments.uniform(0, 15) if epochs == 0 else moments.uniform(0, 2)

    def enough() -> bool:
        return sum(line.startswith("epoch") for line in lines) >= epochs or not reader.is_alive()

    with seen:
        seen.wait_for(enough, timeout=300)
    time.sleep(delay)
    assert process.poll() is None, "the sweep was over before it could be ended"
    process.send_signal(by)
    status = process.wait(timeout=120)
    reader.join()
    assert status == (130 if by != signal.SIGKILL else -by), lines[-5:]
    text = "".join(lines)
    if "epoch" not in text and "going on" not in text:
        return "before the first epoch"
    return "between two runs" if "test accuracy" in lines[-1] else "in a run"


def _require_equal(place: Workplace, undisturbed: Workplace) -> int:
    """Compare two stores point by point.

    Returns:
        How many points were compared.
    """
    runs = place.runs()
    assert len(runs) == 5 and {run.info.status for run in runs} == {"FINISHED"}
    ours, theirs = children(place), children(undisturbed)
    assert len(ours) == 4 and ours.keys() == theirs.keys()
    points = 0
    for name, run in ours.items():
        twin = theirs[name]
        assert run.data.metrics.keys() == twin.data.metrics.keys()
        for metric in run.data.metrics:
            mine, other = _points(place, run, metric), _points(undisturbed, twin, metric)
            if metric.startswith(TIMED):
                mine, other = [(step, 0.0) for step, _ in mine], [(step, 0.0) for step, _ in other]
            assert mine == other, (name, metric)
            points += len(mine)
        one, two = (
            _weights(_artifact(where, each, "weights.safetensors"))
            for where, each in ((place, run), (undisturbed, twin))
        )
        assert one == two, name
        for artifact in ("predictions.npz", "examples.npz"):
            one, two = (
                _artifact(where, each, artifact).read_bytes()
                for where, each in ((place, run), (undisturbed, twin))
            )
            assert one == two, (name, artifact)
        pd.testing.assert_frame_equal(
            *(
                frame[~frame["metric"].str.startswith(TIMED)]
                for frame in (
                    pd.read_parquet(_artifact(place, run, "history.parquet")),
                    pd.read_parquet(_artifact(undisturbed, twin, "history.parquet")),
                )
            ),
            check_exact=True,
        )
    assert not list(place.folder.glob("multirun/*/*/*/checkpoints"))
    return points


def _points(place: Workplace, run: Run, metric: str) -> list[tuple[int, float]]:
    history = place.client.get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in history)


def _artifact(place: Workplace, run: Run, name: str) -> Path:
    return Path(place.client.download_artifacts(run.info.run_id, name))


def _weights(path: Path) -> tuple[dict[str, Any], bytes]:
    """A safetensors file's header, whose order is any, and the bytes of its tensors."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]
