"""Real trainings whose store or disk refuses: locked, full, read-only.

What needs a small disk, or one that turns read-only, runs in a mount namespace of its own
(`unshare --map-root-user --mount`), where an ordinary user may mount one too, and where root cannot
write to it either.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from mlflow import MlflowClient
from mlflow.entities import Run

from tests.conftest import PLAIN, ROOT, Workplace
from tests.proofs.training import Training
from transfer.tracking.store import experiment_id, open_store

# Root may write what its owner may not, unless it gives that up.
BOUND_BY_MODES = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
SMALL = (*PLAIN, "data.train_per_class=20", "batch_size=50", "freeze_epochs=1")


def test_a_database_locked_for_longer_than_its_timeout(workplace: Workplace) -> None:
    """MLflow gives a lock 20 s."""
    command = (*SMALL, "epochs=40", "tracking.patience_s=120")
    training = Training(workplace.folder, workplace.store, *command)
    training.wait_for_epoch(3)
    other = sqlite3.connect(workplace.store.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    start, before = time.monotonic(), len(training.epoch_ends)
    time.sleep(45)
    trained = len(training.epoch_ends) - before
    other.close()
    assert training.wait() == 0, training.output
    [run] = workplace.runs()
    _require_all_points(workplace.client, run, 40)
    print(f"\n{trained} epochs in the {time.monotonic() - start:.0f} s from the lock to the end")
    assert trained >= 3
    assert "cannot be written (database is locked)" in training.output
    assert "Traceback" not in training.output


def test_a_database_on_a_full_disk(tmp_path: Path) -> None:
    with Mount(tmp_path / "small", "size=8m") as mount:
        store = f"sqlite:///{mount.path}/mlflow.db"
        command = (*SMALL, "epochs=20", "tracking.patience_s=3")
        training = mount.train(tmp_path, store, *command)
        training.wait_for_epoch(3)
        mount.fill()
        assert training.wait() == 3, training.output
        print("\n" + training.output)
        assert "not in the store (database or disk is full)" in training.output
        assert "Traceback" not in training.output
        mount.empty()
        _deliver_and_require(mount, tmp_path, store, epochs=20)


def test_a_database_that_turns_read_only(workplace: Workplace) -> None:
    command = (*SMALL, "epochs=20", "tracking.patience_s=3")
    training = Training(workplace.folder, workplace.store, *command, wrapper=BOUND_BY_MODES)
    training.wait_for_epoch(3)
    database = Path(workplace.store.removeprefix("sqlite:///"))
    # The run's own folder, below this one, stays as it is.
    database.chmod(0o444)
    database.parent.chmod(0o555)
    assert training.wait() == 3, training.output
    print("\n" + training.output)
    # The second is what SQLite says where it had the file open before.
    reasons = ("attempt to write a readonly database", "disk I/O error")
    assert any(f"not in the store ({reason})" in training.output for reason in reasons)
    assert "Traceback" not in training.output
    refused = Training(
        workplace.folder, workplace.store, *command, "hydra.run.dir=multirun/other",
        wrapper=BOUND_BY_MODES,
    )  # fmt: skip
    assert refused.wait() == 2, refused.output
    print(refused.output)
    # A transaction that was cut off must be rolled back before anything can be read.
    said = r"the store cannot be (written|opened) \(attempt to write a readonly database\)"
    assert re.search(said, refused.output)
    assert "Traceback" not in refused.output
    database.parent.chmod(0o755)
    database.chmod(0o644)
    [job_folder] = [path.parent for path in workplace.folder.glob("multirun/*/*/run_state.json")]
    delivered = workplace.run("experiments/deliver.py", f"folder={job_folder}")
    assert delivered.returncode == 0, delivered.stderr
    [run] = workplace.runs()
    _require_all_points(workplace.client, run, 20)


def test_an_artifact_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with Mount(tmp_path / "small", "size=200m") as mount:
        store = f"sqlite:///{tmp_path}/mlflow.db"
        client = open_store(store)
        artifacts = mount.path / "artifacts"
        client.rename_experiment(experiment_id(client), "former")
        client.create_experiment("transfer", artifact_location=artifacts.as_uri())
        mount.remount("ro")
        training = mount.train(tmp_path, store, *SMALL, "epochs=3", "tracking.patience_s=3")
        assert training.wait() == 3, training.output
        print("\n" + training.output)
        assert "Read-only file system" in training.output
        assert "Traceback" not in training.output
        mount.remount("rw")
        _deliver_and_require(mount, tmp_path, store, epochs=3)


def test_a_disk_too_full_for_a_checkpoint(workplace: Workplace, tmp_path: Path) -> None:
    with Mount(tmp_path / "small", "size=60m") as mount:
        output = f"hydra.run.dir={mount.path}/run"
        command = (*SMALL, "epochs=20", output)
        training = mount.train(workplace.folder, workplace.store, *command)
        training.wait_for_epoch(3)
        mount.fill()
        assert training.wait() == 1, training.output
        print("\n" + training.output)
        last = training.output.strip().splitlines()[-1]
        assert "cannot be written (No space left on device)" in last and "resume=true" in last
        assert "Traceback" not in training.output
        left = [path.name for path in (mount.inside / "run" / "checkpoints").glob("*/*")]
        assert len(left) == 2 and "unfinished" not in left
        [run] = workplace.runs()
        assert run.info.status == "FAILED"
        assert "No space left on device" in run.data.tags["transfer.error"]
        mount.empty()
        again = mount.train(workplace.folder, workplace.store, *command, "resume=true")
        assert again.wait() == 0, again.output
        assert "going on after epoch" in again.output
        # From the last checkpoint on, whatever epoch that was of: short ones do not have one each.
        newest = max(int(name.removeprefix("epoch-").removesuffix(".pt")) for name in left)
        assert len(again.epoch_ends) == 20 - newest
        [run] = workplace.runs()
        assert "transfer.error" not in run.data.tags
        _require_all_points(workplace.client, run, 20)


class Mount:
    """A disk of its own, in memory, which only the processes started by `train` and `call` see.

    Attributes:
        path: where they see it.
        inside: where this process sees it.
    """

    def __init__(self, path: Path, options: str) -> None:
        path.mkdir()
        mount = f"mount -t tmpfs -o {options} none {path} && echo ready && exec sleep infinity"
        program = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount]
        self._holder = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        self.path = path
        self.inside = Path(f"/proc/{self._holder.pid}/root{path}")
        self._enter = ["nsenter", "--target", str(self._holder.pid), "--user", "--mount"]
        self._enter += ["--preserve-credentials", f"--wdns={ROOT}"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()

    def train(self, folder: Path, store: str, *arguments: str) -> Training:
        # hydra writes below where the process stands, which is outside of the small disk.
        enter = [*self._enter[:-1], f"--wdns={folder}"]
        return Training(folder, store, *arguments, wrapper=enter)

    def call(self, *program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._enter, *program], capture_output=True, text=True, check=False)

    def remount(self, mode: str) -> None:
        done = self.call("mount", "-o", f"remount,{mode}", str(self.path))
        assert done.returncode == 0, done.stderr

    def fill(self) -> None:
        with (self.inside / "filler").open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def empty(self) -> None:
        (self.inside / "filler").unlink()


def _deliver_and_require(mount: Mount, folder: Path, store: str, epochs: int) -> None:
    [job_folder] = [path.parent for path in folder.glob("multirun/*/*/run_state.json")]
    script = str(ROOT / "experiments" / "deliver.py")
    delivered = mount.call(sys.executable, script, f"folder={job_folder}")
    assert delivered.returncode == 0, delivered.stderr
    print(delivered.stdout)
    path = store.removeprefix("sqlite:///")
    if path.startswith(str(mount.path)):
        # SQLite follows links, and from outside this path leads elsewhere.
        shutil.copy(mount.inside / Path(path).name, folder / "copy.db")
        store = f"sqlite:///{folder}/copy.db"
    client = MlflowClient(store)
    [run] = client.search_runs([experiment_id(client)])
    _require_all_points(client, run, epochs)
    place = run.info.artifact_uri.removeprefix("file://")
    place = place.replace(str(mount.path), str(mount.inside), 1)
    kept = {path.name for path in Path(place).iterdir()}
    assert {"weights.safetensors", "history.parquet"} <= kept


def _require_all_points(client: MlflowClient, run: Run, epochs: int) -> None:
    assert run.info.status == "FINISHED"
    for name in ("val/acc", "train/loss", "time/epoch_s"):
        points = client.get_metric_history(run.info.run_id, name)
        assert [point.step for point in points] == list(range(1, epochs + 1))
    assert len(client.get_metric_history(run.info.run_id, "test/acc")) == 1
