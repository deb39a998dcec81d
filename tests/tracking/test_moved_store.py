"""A store that was moved or copied finds its files, and leaves alone what somebody else chose."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.conftest import PLAIN, ROOT, TINY, Workplace
from tests.sweep.test_resume import kill_after_epochs
from transfer.system.errors import ConfigError
from transfer.tracking.delivery import deliver
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.find import find_job_run
from transfer.tracking.previous_run import folder_of
from transfer.tracking.run_state import RunState
from transfer.tracking.store import experiment_id, open_store

PICTURE = str(ROOT / "docs" / "accuracy_and_loss.png")


def _a_run(client: MlflowClient, folder: Path) -> str:
    """A finished run with a folder and one artifact that says where it was made."""
    folder.mkdir(parents=True)
    tags = {"transfer.fingerprint": "f", "hydra.output_dir": str(folder)}
    run = client.create_run(experiment_id(client), tags=tags).info.run_id
    client.log_text(run, str(folder), "note.txt")
    client.set_terminated(run)
    return str(run)


def _note(client: MlflowClient, run: str, folder: Path) -> str:
    return Path(client.download_artifacts(run, "note.txt", str(folder))).read_text()


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_a_project_that_was_moved_or_copied_finds_its_files(
    workplace: Workplace, tmp_path: Path, how: object
) -> None:
    old, new = tmp_path / "old place", tmp_path / "neuer Ort, ä"
    old.mkdir()
    shutil.copy(workplace.folder / "mlflow.db", old)
    client = open_store(f"sqlite:///{old}/mlflow.db")
    run = _a_run(client, old / "multirun/0")
    away = _a_run(client, tmp_path / "elsewhere")
    assert callable(how)
    how(old, new)
    client = open_store(f"sqlite:///{new}/mlflow.db")
    record = find_job_run(client, run)
    assert folder_of(record) == new / "multirun/0"
    assert record.artifacts.startswith(new.as_uri())
    assert _note(client, run, tmp_path) == str(old / "multirun/0")
    assert folder_of(find_job_run(client, away)) == tmp_path / "elsewhere"
    # New ones go here, too, also where the old place is still there.
    another = find_job_run(client, _a_run(client, new / "multirun/1"))
    assert another.artifacts.startswith(new.as_uri())
    if old.exists():
        untouched = find_job_run(MlflowClient(f"sqlite:///{old}/mlflow.db"), run)
        assert untouched.artifacts.startswith(old.as_uri()) and folder_of(untouched)


def test_a_project_that_was_moved_in_the_middle_of_a_sweep_goes_on(
    workplace: Workplace, tmp_path: Path
) -> None:
    """Every command, by a user who knows nothing of places."""
    command = ("-m", *PLAIN, *TINY, "epochs=15", "freeze_epochs=0", "seed=0,1")
    kill_after_epochs(workplace, 18, *command)
    new = tmp_path / "neuer Ort, ä"
    shutil.move(workplace.folder, new)
    place = Workplace(new, f"sqlite:///{new}/mlflow.db")
    # Before any other command has opened the store at its new place.
    delivered = place.run("experiments/deliver.py", "folder=multirun")
    assert (delivered.returncode, delivered.stdout.count(" delivered\n")) == (0, 1)
    runs = {run.info.run_name: run for run in place.runs()}
    first, second = (runs[f"simple_cnn-freeze0-seed{seed}"] for seed in (0, 1))
    assert (first.info.status, second.info.status) == ("FINISHED", "RUNNING")
    for run in runs.values():
        assert run.data.tags["hydra.output_dir"].startswith(str(new))
        assert run.info.artifact_uri.startswith(new.as_uri())
    report = place.run("experiments/report.py")
    assert report.returncode == 0, report.stderr
    assert Path(report.stdout.strip()).is_relative_to(new)
    archive = place.run("experiments/archive.py", "keep=kept")
    assert "left out, it is RUNNING" in archive.stdout and archive.returncode == 0
    answer = place.run("experiments/predict.py", f"run={first.info.run_id}", PICTURE)
    assert answer.returncode == 0, answer.stderr
    resumed = place.run("train.py", *command, "resume=true")
    assert resumed.returncode == 0, resumed.stderr
    said = ("seed0: finished before", "seed1: going on after epoch")
    assert all(f"simple_cnn-freeze0-{each}" in resumed.stdout for each in said)
    weights = f"weights=runs:/{first.info.run_id}"
    further = place.run("train.py", *PLAIN[:1], *TINY, "epochs=1", "freeze_epochs=0", weights)
    assert further.returncode == 0, further.stderr
    [newest] = [run for run in place.runs() if run.data.params.get("weights", "")[:5] == "runs:"]
    assert newest.info.artifact_uri.startswith(new.as_uri())
    assert place.client.list_artifacts(newest.info.run_id)
    # Nothing was written to the old place.
    assert not workplace.folder.exists()


def test_what_was_left_behind_is_named_and_found_once_it_comes(
    workplace: Workplace, tmp_path: Path
) -> None:
    run = _a_run(workplace.client, workplace.folder / "multirun/0")
    state = RunState(workplace.folder / "multirun/0", "name", {}, run_id=run, uri=workplace.store)
    state.write(tags={"hydra.output_dir": str(state.folder)})
    shutil.move(workplace.folder / "mlflow.db", tmp_path)
    with pytest.raises(ConfigError, match=r"the store is gone from there; .* tracking_uri=sqlite"):
        deliver(state.folder, patience_s=1)
    assert not (workplace.folder / "mlflow.db").exists()
    shutil.rmtree(workplace.folder / "mlartifacts", ignore_errors=True)
    shutil.move(workplace.folder / "multirun", tmp_path / "later")
    client = open_store(f"sqlite:///{tmp_path}/mlflow.db")
    record = find_job_run(client, run)
    with pytest.raises(ConfigError, match=r"note\.txt of run .* is gone; a store is moved with"):
        fetch_artifact(client, record, "note.txt", tmp_path)
    assert folder_of(record) is None
    shutil.move(tmp_path / "later", tmp_path / "multirun")
    assert folder_of(find_job_run(client, run)) == tmp_path / "multirun/0"


def test_a_place_that_somebody_chose_is_kept(workplace: Workplace, tmp_path: Path) -> None:
    client = workplace.client
    chosen = client.create_experiment("flowers", artifact_location=(tmp_path / "far").as_uri())
    open_store(workplace.store)
    assert client.get_experiment(chosen).artifact_location == (tmp_path / "far").as_uri()
