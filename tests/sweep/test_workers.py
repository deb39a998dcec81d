"""Several workers on one store, and a signal in their midst."""

from __future__ import annotations

import signal

from tests.conftest import PLAIN, TINY, Workplace, children


def test_workers_save_when_their_sweep_is_interrupted(workplace: Workplace) -> None:
    command = ("-m", *PLAIN, *TINY, "epochs=6", "seed=0,1")
    process = workplace.start(*command, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert process.stdout is not None
    while not process.stdout.readline().startswith("epoch"):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1].endswith("resume=true")
    interrupted = {run.info.run_id for run in children(workplace).values()}
    assert {run.info.status for run in workplace.runs()} == {"KILLED"}
    # By one process, which starts sooner; the proof of workers resumes by workers.
    again = workplace.run("train.py", *command, "resume=true")
    assert again.returncode == 0, again.stderr
    runs = children(workplace)
    assert len(workplace.runs()) == 3
    assert {run.info.status for run in workplace.runs()} == {"FINISHED"}
    assert interrupted <= {run.info.run_id for run in runs.values()}
    for run in runs.values():
        for name in ("val/acc", "train/loss"):
            points = workplace.client.get_metric_history(run.info.run_id, name)
            assert [point.step for point in points] == list(range(1, 7))
