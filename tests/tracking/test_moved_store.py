"""A store that was moved or copied finds its files, and leaves alone what somebody else chose."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.conftest import Workplace
from transfer.tracking.find import find_job_run
from transfer.tracking.previous_run import folder_of
from transfer.tracking.store import experiment_id, open_store


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


def test_a_place_that_somebody_chose_is_kept(workplace: Workplace, tmp_path: Path) -> None:
    client = workplace.client
    chosen = client.create_experiment("flowers", artifact_location=(tmp_path / "far").as_uri())
    open_store(workplace.store)
    assert client.get_experiment(chosen).artifact_location == (tmp_path / "far").as_uri()
