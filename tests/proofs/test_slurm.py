"""A sweep on a real Slurm of this machine, whose jobs are preempted, requeued and warned."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.conftest import FASTEST, TINY, Workplace, children
from tests.proofs.clusters import epochs_of, require_same, slurm, train, wait_for, went_on

SWEEP = ("-m", *FASTEST, *TINY, "epochs=60", "seed=range(4)")
ON_SLURM = (*SWEEP, "hydra/launcher=submitit_slurm", "hydra.launcher.partition=low")

# A shell in the background has it ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def test_what_slurm_takes_away_goes_on_by_itself(
    new_workplace: Callable[[], Workplace], tmp_path: Path
) -> None:
    """Slurm waits two minutes before it begins a job again."""
    place, alone = new_workplace(), new_workplace()
    assert alone.run("train.py", *SWEEP).returncode == 0
    with slurm(tmp_path) as cluster, train(place, *ON_SLURM) as process:
        _wait_for_epochs(place, 0, 1)
        [first, second] = cluster.running()
        # An operator's word, and the warning that comes before a time limit, whose sender is
        # answered late: by then the job is no longer what it was.
        cluster.ask("scontrol", "requeue", first)
        warning = subprocess.Popen(["scancel", "--signal=USR2", second], stderr=subprocess.DEVNULL)
        _wait_for_epochs(place, 2, 3)
        # Jobs that come before others, and take the whole machine.
        first_of_all = ("--partition=high", "--exclusive", "--output=/dev/null")
        cluster.ask("sbatch", *first_of_all, "--wrap=sleep 5")
        _, errors = process.communicate(timeout=900)
        assert process.returncode == 0, errors
        warning.wait()
    assert set(went_on(place)) == {0, 1, 2, 3}
    require_same(place, alone)
    print(
        "\n4 jobs of Slurm's, one requeued, one warned, two preempted: 4 FINISHED without a hand, "
        "every metric and point as in one process"
    )


def test_jobs_save_when_their_sweep_is_interrupted(
    new_workplace: Callable[[], Workplace], tmp_path: Path
) -> None:
    place = new_workplace()
    with slurm(tmp_path) as cluster:
        with train(place, *ON_SLURM) as process:
            _wait_for_epochs(place, 0, 1)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=300)
        assert process.returncode == 130 and "Traceback" not in errors, errors
        assert errors.strip().splitlines()[-1].endswith("resume=true")
        assert not cluster.ask("squeue", "--noheader")
        begun = children(place)
        assert {run.info.status for run in place.runs()} == {"KILLED"}
        with train(place, *ON_SLURM, "resume=true") as again:
            _wait_for_epochs(place, 2, 3)
            # Somebody takes a job back: the sweep says so, and the others go on.
            cluster.ask("scancel", cluster.running()[0])
            _, errors = again.communicate(timeout=600)
        assert again.returncode == 1 and "Traceback" not in errors, errors
        assert "\n1 of 4 jobs failed:\n" in errors and "it was ended, and is not begun" in errors
        elsewhere = (*ON_SLURM[:-1], "hydra.launcher.partition=nowhere", "resume=true")
        with train(place, *elsewhere) as refused:
            _, errors = refused.communicate(timeout=600)
        assert refused.returncode == 2 and "Traceback" not in errors, errors
        assert "partition=nowhere: the cluster has no partition nowhere; it has low, high" in errors
        with train(place, *ON_SLURM, "hydra.launcher.gpus_per_node=1", "resume=true") as refused:
            _, errors = refused.communicate(timeout=600)
        assert refused.returncode == 2 and "Traceback" not in errors, errors
        assert "takes no such job (Invalid generic resource (gres) specification)" in errors
    ends = sorted(run.info.status for run in children(place).values())
    assert ends == ["FINISHED"] * 3 + ["KILLED"] and set(went_on(place)) >= {0, 1}
    assert {run.info.run_id for run in begun.values()} <= {
        run.info.run_id for run in children(place).values()
    }
    print("\nCtrl-C: 2 running jobs saved, 2 taken back; one taken back: it is said, 3 FINISHED")


def _wait_for_epochs(place: Workplace, *jobs: int) -> None:
    """Until each of these jobs has trained two epochs."""
    wait_for(lambda: all(epochs_of(place).get(job, 0) >= 2 for job in jobs), 600)
