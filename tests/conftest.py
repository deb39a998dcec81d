"""What the tests share: small configurations, small images, and train.py run as a user would."""

from __future__ import annotations

import atexit
import copy
import os
import pickle
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from mlflow import MlflowClient
from mlflow.entities import Run
from omegaconf import DictConfig
from PIL import Image

from tests.processes import Started, fork_server
from transfer.config import Config, register_schema, typed_config
from transfer.sweep.loader import SweepLoader
from transfer.tracking.metrics import METRICS
from transfer.tracking.moved_store import find_beside
from transfer.tracking.store import experiment_id, open_store

ROOT = Path(__file__).resolve().parents[1]

# What tests decode and compute is kept for as long as they run, and apart from what people keep.
if "TRANSFER_CACHE" not in os.environ:
    os.environ["TRANSFER_CACHE"] = tempfile.mkdtemp(prefix="transfer-cache-")
    atexit.register(shutil.rmtree, os.environ["TRANSFER_CACHE"], ignore_errors=True)

# A training of about a second: 50 images for training, 10 classes.
TINY = ("data.train_per_class=5", "batch_size=25", "epochs=2", "freeze_epochs=1")

# A small model with BatchNorm; it has no starter weights.
PLAIN = ("model=simple_cnn", "weights=none")

# The fastest model; it has no BatchNorm.
FASTEST = ("model=lenet", "weights=none")

# What is measured with a clock differs from run to run; everything else may not.
TIMED = tuple(metric.name for metric in METRICS.values() if metric.timed)


def config_of(*overrides: str) -> Config:
    """The configuration that train.py would get from these overrides."""
    return copy.deepcopy(_composed(overrides))


@cache
def _composed(overrides: tuple[str, ...]) -> Config:
    own = [each for each in overrides if not each.startswith("hydra")]
    loader, sweep = _sweep_loader(tuple(each for each in overrides if each not in own))
    return typed_config(loader.load_sweep_config(sweep, own))


@cache
def _sweep_loader(of_hydra: tuple[str, ...]) -> tuple[SweepLoader, DictConfig]:
    """What composes jobs as Hydra does, in a fraction of its time, and a sweep for them."""
    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        sweep = hydra.compose_config("config", [*of_hydra], run_mode=RunMode.MULTIRUN)
        return SweepLoader(hydra.config_loader), sweep


@contextmanager
def hydra_config(*overrides: str) -> Iterator[DictConfig]:
    """What Hydra gives a callback, its own part included; within, jobs can be composed."""
    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield compose("config", overrides=list(overrides), return_hydra_config=True)


def hydra_config_of(*overrides: str) -> DictConfig:
    """The same, where no jobs are composed."""
    with hydra_config(*overrides) as config:
        return config


@dataclass(frozen=True)
class Workplace:
    """A folder to stand in, with a store of its own; the repository stays clean."""

    folder: Path
    store: str

    def run(
        self, *arguments: str, limit_kb: int = 0, from_scratch: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of the repository; paths on the command line are relative to it.

        Args:
            limit_kb: of address space; 0 is none.
            from_scratch: start Python itself, as a user does, which takes seconds longer.
        """
        script, *rest = arguments
        call = [str(ROOT / script), *rest]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": self.store}
        if not (from_scratch or limit_kb) and (server := fork_server(environment)):
            return server.run(call, self.folder, environment, timeout=300)
        limit = ["sh", "-c", f'ulimit -v {limit_kb}; exec "$@"', "sh"] if limit_kb else []
        return subprocess.run(
            [*limit, sys.executable, *call],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *arguments: str, stdout: int = subprocess.PIPE) -> Started:
        """Start train.py, whose output comes line by line through a pipe.

        Args:
            stdout: a file descriptor for both output and errors instead.
        """
        environment = {**os.environ, "MLFLOW_TRACKING_URI": self.store}
        if (server := fork_server(environment)) is None:
            stderr = subprocess.PIPE if stdout == subprocess.PIPE else stdout
            return self.start_from_scratch(*arguments, stdout=stdout, stderr=stderr)
        call = [str(ROOT / "train.py"), *arguments]
        return server.start(call, self.folder, environment, stdout)

    def start_from_scratch(
        self, *arguments: str, wrapper: Sequence[str] = (), **options: Any
    ) -> subprocess.Popen[str]:
        """As `start`, but start Python itself, as a user does, which takes seconds longer.

        Args:
            wrapper: a program, with arguments, that starts it.
            options: of Popen, such as `stderr`.
        """
        return subprocess.Popen(
            [*wrapper, sys.executable, "-u", str(ROOT / "train.py"), *arguments],
            cwd=self.folder,
            env={**os.environ, "MLFLOW_TRACKING_URI": self.store},
            text=True,
            **{"stdout": subprocess.PIPE, **options},
        )

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.store)

    def runs(self) -> list[Run]:
        """Every run of the store, sweeps' parents included."""
        return list(self.client.search_runs([experiment_id(self.client)]))


def children(workplace: Workplace) -> dict[str, Run]:
    """The runs of jobs within sweeps, by name."""
    return {
        run.info.run_name: run for run in workplace.runs() if "mlflow.parentRunId" in run.data.tags
    }


def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all workers of pytest."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables made; making them takes MLflow several seconds, once for all
    workers of pytest."""
    path = shared(tmp_path_factory) / "empty-mlflow.db"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            new = path.with_suffix(".new")
            open_store(f"sqlite:///{new}")
            new.rename(path)
    return path


@pytest.fixture(scope="session")
def new_workplace(
    empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Workplace]:
    def make() -> Workplace:
        folder = tmp_path_factory.mktemp("workplace")
        shutil.copy(empty_store, folder / "mlflow.db")
        find_beside(folder / "mlflow.db")
        return Workplace(folder, f"sqlite:///{folder}/mlflow.db")

    return make


@pytest.fixture
def workplace(new_workplace: Callable[[], Workplace]) -> Workplace:
    return new_workplace()


@dataclass(frozen=True)
class Sweep:
    workplace: Workplace
    command: tuple[str, ...]
    process: subprocess.CompletedProcess[str]

    @property
    def folder(self) -> Path:
        [report] = self.workplace.folder.glob("multirun/*/*/report.md")
        return report.parent


@pytest.fixture(scope="session")
def sweep(
    new_workplace: Callable[[], Workplace], tmp_path_factory: pytest.TempPathFactory
) -> Sweep:
    """The sweep of the contract on a tenth of the digits, run once for all tests of all workers of
    pytest: two may read it at once, so that nothing in it may change."""
    path = shared(tmp_path_factory) / "sweep.pickle"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            place = new_workplace()
            choices = ("model=resnet18,mobilenet_v3_small", "freeze_epochs=0,1")
            small = tuple(override for override in TINY if not override.startswith("freeze_epochs"))
            command = ("train.py", "-m", *choices, *small)
            path.write_bytes(pickle.dumps(Sweep(place, command, place.run(*command))))
        made: Sweep = pickle.loads(path.read_bytes())
    return made


def an_epoch(number: int, losses: list[float]) -> tuple[int, dict[str, float], list[float]]:
    """What a run logs of an epoch: its number, metrics and iteration losses."""
    metrics = {
        "train/loss": sum(losses) / len(losses),
        "train/acc": 0.5,
        "val/loss": 1.0,
        "val/acc": 0.25,
        "lr/head": 0.1,
        "lr/backbone": 0.01,
        "time/epoch_s": 2.0,
    }
    return number, metrics, losses


def write_images(folder: Path, classes: dict[str, int], size: tuple[int, int] = (16, 16)) -> None:
    """Make a class folder for each name with so many random JPEG pictures."""
    random = np.random.default_rng(0)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.jpg")


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as on a full disk: by the system's own limit."""
    former, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (former, most))


def without_locks(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Let every Python that is started from now on find a disk without flock, as some network disks
    and those of clusters are.

    Args:
        folder: gets the module that sees to it.
        code: of the system's error, such as `errno.ENOLCK`.
    """
    module = f"""import fcntl, os
def refuse(*_): raise OSError({code}, os.strerror({code}))
fcntl.flock = refuse
"""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


@contextmanager
def locked(workplace: Workplace) -> Iterator[None]:
    """Lock the store as another program would: nobody else can read or write it."""
    path = workplace.store.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()
