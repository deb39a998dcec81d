"""Many workers on one SQLite store lose nothing, and none of them outlives its sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import PLAIN, TIMED, Workplace, children
from tests.proofs.points import metric_history, require_every_point

EPOCHS, ITERATIONS = 4, 4
SHORT = (
    *PLAIN,
    *("data.train_per_class=10", "batch_size=25", "freeze_epochs=1"),
)

# A shell in the background has it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _workers(count: int) -> tuple[str, ...]:
    return ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={count}")


def test_eight_workers_and_one_store(new_workplace: Callable[[], Workplace]) -> None:
    place = new_workplace()
    command = ("-m", *SHORT, f"epochs={EPOCHS}", "seed=range(24)")
    process = place.run("train.py", *command, *_workers(8))
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stderr
    # A line for each that ended, several perhaps at once; no bars.
    told = [line for line in process.stderr.splitlines() if line.startswith("job ")]
    assert len(told) == 24 and "job 24 of 24 ended" in told
    runs = children(place)
    assert len(runs) == 24 and len(place.runs()) == 25
    assert {run.info.status for run in place.runs()} == {"FINISHED"}
    points = sum(
        require_every_point(place.client, run, EPOCHS, ITERATIONS) for run in runs.values()
    )
    told = f"{len(runs)} runs FINISHED, {points} points, none missing, none double"
    print(f"\n8 workers: {told}")


def test_workers_give_what_one_process_gives(new_workplace: Callable[[], Workplace]) -> None:
    together, alone = new_workplace(), new_workplace()
    command = ("-m", *SHORT, f"epochs={EPOCHS}", "seed=range(4)")
    assert together.run("train.py", *command, *_workers(4)).returncode == 0
    assert alone.run("train.py", *command).returncode == 0
    ours, theirs = children(together), children(alone)
    for name, run in theirs.items():
        for metric, value in run.data.metrics.items():
            assert metric.startswith(TIMED) or ours[name].data.metrics[metric] == value


@pytest.mark.parametrize(
    ("variable", "workers", "threads"),
    [
        (None, 1, len(os.sched_getaffinity(0))),
        (None, 2, max(len(os.sched_getaffinity(0)) // 2, 1)),
        (None, -1, 1),
        ("2", -1, 2),
    ],
)
def test_threads_are_divided_among_workers(
    new_workplace: Callable[[], Workplace],
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    workers: int,
    threads: int,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    place = new_workplace()
    process = place.run("train.py", "-m", *SHORT, "epochs=1", "seed=0,1", *_workers(workers))
    assert process.returncode == 0, process.stderr
    assert {run.data.params["threads"] for run in children(place).values()} == {f"{threads}"}


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_sweep(
    new_workplace: Callable[[], Workplace], by: signal.Signals
) -> None:
    place = new_workplace()
    command = ("-m", *SHORT, "epochs=16", "seed=range(4)", *_workers(3))
    with _sweep(place, *command) as process:
        assert process.stdout is not None
        epochs = 0
        while epochs < 9:
            epochs += process.stdout.readline().startswith("epoch")
        if by == signal.SIGINT:
            # As a terminal does: to every process of the group.
            os.killpg(process.pid, by)
        else:
            process.send_signal(by)
        process.communicate(timeout=120)
        _require_none_left(process.pid)
    runs = children(place)
    assert {run.info.status for run in runs.values()} == {"KILLED"}
    done = sorted(len(metric_history(place.client, run, "val/acc")) for run in runs.values())
    again = place.run("train.py", *command, "resume=true")
    assert again.returncode == 0, again.stderr
    resumed = children(place)
    assert {run.info.run_id for run in runs.values()} <= {
        run.info.run_id for run in resumed.values()
    }
    assert len(place.runs()) == 5
    assert {run.info.status for run in place.runs()} == {"FINISHED"}
    points = sum(require_every_point(place.client, run, 16, ITERATIONS) for run in resumed.values())
    print(
        f"\n{by.name}: {len(done)} runs KILLED after {done} epochs, no process left; resumed: "
        f"4 runs FINISHED, {points} points, none missing, none double"
    )


def test_a_worker_that_is_killed_is_no_traceback(new_workplace: Callable[[], Workplace]) -> None:
    place = new_workplace()
    command = ("-m", *SHORT, "epochs=200", "seed=range(4)", *_workers(2))
    with _sweep(place, *command) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch"):
            pass
        [victim, *_] = [run.data.tags["transfer.process"] for run in children(place).values()]
        os.kill(int(victim), signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        _require_none_left(process.pid)
    assert process.returncode == 1
    assert "a worker died" in errors and "Traceback" not in errors
    assert errors.strip().splitlines()[-1].endswith("resume=true")
    assert {run.info.status for run in children(place).values()} == {"KILLED"}


@contextmanager
def _sweep(place: Workplace, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = place.start_from_scratch(*arguments, stderr=subprocess.PIPE, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _require_none_left(group: int) -> None:
    """Wait for the end of every process of the group; joblib's own trackers end last."""
    end = time.monotonic() + 30
    left = [group]
    while left and time.monotonic() < end:
        time.sleep(0.5)
        left = _processes(group)
    assert not left


def _processes(group: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found
