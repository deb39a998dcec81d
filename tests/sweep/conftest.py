"""A sweep that several files of tests go on from."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable

import pytest
from filelock import FileLock

from tests.conftest import FASTEST, TINY, Sweep, Workplace, shared
from transfer.tracking.moved_store import find_beside


@pytest.fixture(scope="session")
def two_seeds(
    new_workplace: Callable[[], Workplace], tmp_path_factory: pytest.TempPathFactory
) -> Sweep:
    """Two seeds of the fastest model, once for all workers of pytest: nothing in it may change."""
    path = shared(tmp_path_factory) / "two-seeds.pickle"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            place = new_workplace()
            command = ("train.py", "-m", *FASTEST, *TINY, "seed=0,1")
            path.write_bytes(pickle.dumps(Sweep(place, command, place.run(*command))))
        made: Sweep = pickle.loads(path.read_bytes())
    assert made.process.returncode == 0, made.process.stderr
    return made


@pytest.fixture
def after_two_seeds(two_seeds: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A copy of where it ran, to go on in."""
    folder = tmp_path_factory.mktemp("copied") / "workplace"
    shutil.copytree(two_seeds.workplace.folder, folder)
    find_beside(folder / "mlflow.db")
    return Workplace(folder, f"sqlite:///{folder}/mlflow.db")
