"""Which earlier run counts: the living are left alone, the dead are taken over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import FASTEST, PLAIN, TINY, Workplace, children, config_of
from transfer.job import Job, prepare
from transfer.system.checkpoints import Checkpoints
from transfer.system.errors import ConfigError
from transfer.system.process import start_of
from transfer.tracking.find import find_all_of, find_sweep_jobs, find_sweep_run
from transfer.tracking.previous_run import (
    PreviousRun,
    find_own_run,
    find_previous_run,
    lock_of,
    process_tags,
)
from transfer.tracking.run_state import RunState
from transfer.tracking.start import start_run
from transfer.tracking.store import experiment_id
from transfer.tracking.sweep_run import (
    PlannedJob,
    SweepRun,
    budget_tags,
    end_sweep,
    open_sweep,
    tag_sweep,
)
from transfer.training.checkpoint import keep
from transfer.training.trainer import Trainer


def _run_left(workplace: Workplace, tags: dict[str, str]) -> str:
    """A run that reads RUNNING, as a process that was killed leaves it."""
    client = workplace.client
    all_tags = {"transfer.fingerprint": "f", **tags}
    return str(client.create_run(experiment_id(client), tags=all_tags).info.run_id)


def _dead_process() -> dict[str, str]:
    """The tags of a process that is no more."""
    program = (
        "import json; from transfer.tracking.previous_run import process_tags;"
        "print(json.dumps(process_tags()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    tags = json.loads(done.stdout)
    assert isinstance(tags, dict) and tags.keys() == process_tags().keys()
    return tags


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    assert start_of(os.getpid()) == process_tags()["transfer.process_start"] != ""
    assert start_of(int(_dead_process()["transfer.process"])) == ""


def test_a_locked_folder_is_a_living_run_and_a_free_one_a_dead_run(
    workplace: Workplace, tmp_path: Path
) -> None:
    _run_left(workplace, {"hydra.output_dir": str(tmp_path), **process_tags()})
    with lock_of(tmp_path):
        assert find_previous_run(workplace.client, "f").state == "running"
    former = find_previous_run(workplace.client, "f")
    assert (former.state, former.folder) == ("interrupted", tmp_path)


@pytest.mark.parametrize(
    ("process", "state"),
    [("this", "running"), ("dead", "interrupted"), ("elsewhere", "running")],
)
def test_without_its_folder_a_run_is_judged_by_its_process(
    workplace: Workplace, tmp_path: Path, process: str, state: str
) -> None:
    tags = {
        "this": process_tags,
        "dead": _dead_process,
        "elsewhere": lambda: process_tags() | {"transfer.host": "another"},
    }[process]()
    _run_left(workplace, {"hydra.output_dir": str(tmp_path / "gone"), **tags})
    former = find_previous_run(workplace.client, "f")
    assert (former.state, former.folder) == (state, None)


def test_many_runs_are_found_at_once_where_the_store_has_few(
    workplace: Workplace, tmp_path: Path
) -> None:
    client = workplace.client
    tags = {"hydra.output_dir": str(tmp_path), **_dead_process()}
    for fingerprint in "ffg":
        _run_left(workplace, {**tags, "transfer.fingerprint": fingerprint})
    client.create_run(experiment_id(client), tags={"transfer.kind": "sweep"})
    known = find_all_of(client, jobs=2)
    assert known is not None and {name: len(runs) for name, runs in known.items()} == {
        "f": 2,
        "g": 1,
    }
    for fingerprint in "fgh":
        former = find_previous_run(client, fingerprint, known)
        assert former == find_previous_run(client, fingerprint)
    assert former.state == "new"
    assert find_all_of(client, jobs=1) is None


def test_a_run_restored_half_way_is_no_run_to_go_on_with(workplace: Workplace) -> None:
    _run_left(workplace, {})
    assert find_previous_run(workplace.client, "f").state == "new"


def _train(job: Job, folder: Path, epochs: int, sweep: SweepRun | None = None) -> str:
    """Train so many epochs, or to the end; what comes short of it ends as a kill would."""
    with start_run(job, folder, sweep) as run:
        trainer = Trainer(job.model(), job.data, job.config, job.device, job.normalization)
        checkpoints = Checkpoints(run.folder, run.id)
        if checkpoint := checkpoints.newest():
            trainer.restore(checkpoint)
            for epoch in trainer.history:
                run.log_epoch(epoch.number, epoch.metrics, epoch.iteration_losses)
        for epoch in trainer.epochs():
            keep(trainer, checkpoints)
            run.log_epoch(epoch.number, epoch.metrics, epoch.iteration_losses)
            if epoch.number == epochs < job.config.epochs:
                raise KeyboardInterrupt
    return run.id


def test_an_interrupted_run_that_lost_its_folder_trains_again_without_double_points(
    workplace: Workplace, tmp_path: Path
) -> None:
    job = prepare(config_of(*PLAIN, *TINY, "epochs=3", f"tracking.uri={workplace.store}"))
    lost, found = tmp_path / "lost", tmp_path / "found"
    lost.mkdir()
    found.mkdir()
    with pytest.raises(KeyboardInterrupt):
        _train(job, lost, epochs=2)
    shutil.rmtree(lost)
    again = replace(job, config=replace(job.config, resume=True))
    run_id = _train(again, found, epochs=3)
    [run] = workplace.runs()
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert run.data.tags["hydra.output_dir"] == str(found)
    for name in run.data.metrics:
        steps = [point.step for point in workplace.client.get_metric_history(run_id, name)]
        assert steps == sorted(set(steps)), name


@pytest.mark.parametrize("left", ["KILLED", "RUNNING"])
def test_a_job_that_a_cluster_begins_again_goes_on_without_being_told(
    workplace: Workplace, tmp_path: Path, left: str
) -> None:
    """After a warning and after a power cut; another sweep in the same folder begins anew."""
    job = prepare(config_of(*FASTEST, *TINY, "epochs=3", f"tracking.uri={workplace.store}"))
    planned = [PlannedJob(job.name, "", job.fingerprint)]
    sweep, other = (
        open_sweep(workplace.client, tmp_path, [], planned, resume=False) for _ in range(2)
    )
    with pytest.raises(KeyboardInterrupt):
        _train(job, tmp_path / "0", 2, sweep)
    [begun] = children(workplace).values()
    state = RunState.load(tmp_path / "0")
    assert state is not None
    state.update(status=left)
    workplace.client.update_run(state.run_id, status=left)
    assert find_own_run(
        workplace.client, job.fingerprint, tmp_path / "0", other.run_id
    ) == PreviousRun("new")
    assert _train(job, tmp_path / "0", 3, sweep) == begun.info.run_id
    [run] = children(workplace).values()
    assert run.info.status == "FINISHED"
    points = workplace.client.get_metric_history(run.info.run_id, "val/acc")
    assert [point.step for point in points] == [1, 2, 3]


def test_a_folder_that_is_given_again_does_not_mix_two_trainings(
    workplace: Workplace, tmp_path: Path
) -> None:
    configs = [
        config_of(*PLAIN, *TINY, "epochs=3", f"seed={seed}", f"tracking.uri={workplace.store}")
        for seed in (0, 1)
    ]
    with pytest.raises(KeyboardInterrupt):
        _train(prepare(configs[0]), tmp_path, epochs=2)
    run_id = _train(prepare(configs[1]), tmp_path, epochs=3)
    points = workplace.client.get_metric_history(run_id, "val/acc")
    assert [point.step for point in points] == [1, 2, 3]


def test_a_resumed_sweep_is_found_by_the_folder_of_either_command(
    workplace: Workplace, tmp_path: Path
) -> None:
    client, jobs = workplace.client, [PlannedJob("name", "seed=0", "f")]
    folders = [tmp_path / "2026-11-24" / name for name in ("12-00-00", "13-00-00", "14-00-00")]
    for folder in folders:
        folder.mkdir(parents=True)
        sweep = open_sweep(client, folder, ["seed=0"], jobs, resume=True)
        # What was said of its time by then no longer holds.
        assert not [name for name in client.get_run(sweep.run_id).data.tags if "budget" in name]
        tag_sweep(client, sweep, budget_tags("1h", 1, 2, 3))
    for folder in folders:
        found = find_sweep_run(client, f"2026-11-24/{folder.name}")
        assert found.id == sweep.run_id
        assert found.tags["hydra.output_dir"] == str(folders[-1])
    with pytest.raises(ConfigError):
        find_sweep_run(client, "2026-11-24/1")


def test_a_sweep_whose_jobs_are_chosen_as_it_goes_is_known_by_its_command(
    workplace: Workplace, tmp_path: Path
) -> None:
    sweeps = []
    for name, most in (("a", 1), ("b", 2), ("c", 1)):
        (tmp_path / name).mkdir()
        asked = [f"optimizer.lr=interval(0,{most})"]
        sweeps.append(open_sweep(workplace.client, tmp_path / name, asked, [], resume=True))
    assert sweeps[0].run_id == sweeps[2].run_id != sweeps[1].run_id
    # Nothing was planned that could be missed.
    found = find_sweep_run(workplace.client, sweeps[0].run_id)
    assert find_sweep_jobs(workplace.client, found) == []


def test_a_sweep_that_lives_is_not_taken_over(workplace: Workplace, tmp_path: Path) -> None:
    client, jobs = workplace.client, [PlannedJob("name", "seed=0", "f")]
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    open_sweep(client, tmp_path / "first", [], jobs, resume=False)
    with (
        lock_of(tmp_path / "first"),
        pytest.raises(
            ConfigError,
            match=f"process {os.getpid()} on .* is running this sweep; .* delete --run-id",
        ),
    ):
        open_sweep(client, tmp_path / "second", [], jobs, resume=True)


def test_a_sweep_and_jobs_that_are_deleted_meanwhile_are_reported_all_the_same(
    workplace: Workplace, tmp_path: Path
) -> None:
    client = workplace.client
    jobs = [PlannedJob(name, f"seed={name}", name) for name in ("kept", "gone", "never")]
    sweep = open_sweep(client, tmp_path, [], jobs, resume=False)
    for fingerprint in ("kept", "gone"):
        tags = {"transfer.fingerprint": fingerprint, "mlflow.parentRunId": sweep.run_id}
        run = client.create_run(experiment_id(client), tags=tags).info.run_id
    client.delete_run(run)
    assert end_sweep(client, sweep, "FINISHED")
    client.delete_run(sweep.run_id)
    assert not end_sweep(client, sweep, "FINISHED")
    found = find_sweep_run(client, sweep.run_id)
    assert found.deleted
    states = {
        each.tags["transfer.fingerprint"]: each.status for each in find_sweep_jobs(client, found)
    }
    assert states == {"kept": "RUNNING", "gone": "DELETED", "never": "NOT STARTED"}
    # Nobody who does not ask for it by its id meets it again.
    with pytest.raises(ConfigError):
        find_sweep_run(client, "latest")
