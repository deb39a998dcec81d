"""A sweep on a Ray cluster of two nodes, one of which dies in the middle of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.conftest import FASTEST, TINY, Workplace, children
from tests.proofs.clusters import (
    epochs_of,
    ray_cluster,
    require_same,
    train,
    wait_for,
    went_on,
)

JOBS = 8
SWEEP = ("-m", *FASTEST, *TINY, "epochs=60", f"seed=range({JOBS})")
ON_RAY = (*SWEEP, "hydra/launcher=ray")

# A shell in the background has it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_node_dies_in_the_middle(new_workplace: Callable[[], Workplace]) -> None:
    place, alone = new_workplace(), new_workplace()
    assert alone.run("train.py", *SWEEP).returncode == 0
    with ray_cluster() as cluster:
        cluster.start_head()
        doomed = cluster.join()
        with train(place, *ON_RAY, inside=cluster.inside) as process:
            _wait_for_two_jobs(place)
            os.kill(doomed, signal.SIGKILL)
            _, errors = process.communicate(timeout=900)
        assert process.returncode == 1 and "Traceback" not in errors, errors
        assert "\n1 of 8 jobs failed:\n" in errors and "node on which it ran died" in errors
        assert errors.strip().splitlines()[-1].endswith("resume=true")
        ends = sorted(run.info.status for run in children(place).values())
        assert ends == ["FINISHED"] * 7 + ["KILLED"]
        with train(place, *ON_RAY, "resume=true", inside=cluster.inside) as again:
            _, errors = again.communicate(timeout=600)
        assert again.returncode == 0, errors
    assert len(went_on(place)) == 1
    require_same(place, alone)
    print("\none of two nodes killed: 7 of 8 FINISHED, 1 with resume=true; as in one process")


def test_jobs_of_a_dead_node_go_on_by_themselves(new_workplace: Callable[[], Workplace]) -> None:
    place, alone = new_workplace(), new_workplace()
    short = [each.replace(f"range({JOBS})", "0,1") for each in SWEEP]
    assert alone.run("train.py", *short).returncode == 0
    retries = ("hydra/launcher=ray", "hydra.launcher.ray.remote.max_retries=2")
    with ray_cluster() as cluster:
        cluster.start_head()
        doomed = cluster.join()
        with train(place, *short, *retries, inside=cluster.inside) as process:
            _wait_for_two_jobs(place)
            os.kill(doomed, signal.SIGKILL)
            _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors
    assert len(went_on(place)) == 1
    require_same(place, alone)
    print("\nwith max_retries=2, one of two nodes killed: both jobs FINISHED by themselves")


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_jobs_save_when_their_sweep_is_interrupted(
    new_workplace: Callable[[], Workplace], end: signal.Signals
) -> None:
    place = new_workplace()
    with ray_cluster() as cluster:
        cluster.start_head()
        with train(place, *ON_RAY, inside=cluster.inside) as process:
            wait_for(lambda: any(count >= 2 for count in epochs_of(place).values()))
            process.send_signal(end)
            _, errors = process.communicate(timeout=300)
        assert process.returncode == 130 and "Traceback" not in errors, errors
        assert errors.strip().splitlines()[-1].endswith("resume=true")
        assert {run.info.status for run in place.runs()} <= {"KILLED", "FINISHED"}
        # What no node could ever run would wait without end.
        gpu = (*ON_RAY, "hydra.launcher.ray.remote.num_gpus=1", "resume=true")
        with train(place, *gpu, inside=cluster.inside) as refused:
            _, errors = refused.communicate(timeout=300)
        assert refused.returncode == 2 and "Traceback" not in errors
        assert "num_gpus=1: no node of the cluster has so many; the most is 0\n" in errors
    print(f"\n{end.name}: the running job saved, the others were taken back")


def _wait_for_two_jobs(place: Workplace) -> None:
    """Until two have trained two epochs."""
    wait_for(lambda: sum(count >= 2 for count in epochs_of(place).values()) >= 2)
