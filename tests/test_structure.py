"""The house: which room may import which, and how large a module may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# A room imports only itself and rooms above it. Training validates as it goes, so evaluate stands
# above it.
ROOMS = (
    *("system", "config", "data", "augment", "models", "features", "evaluate", "training"),
    *("deploy", "job", "tracking", "compare", "report", "sweep"),
)
# Libraries that a room must not know.
FORBIDDEN = {
    "config": ("torch", "mlflow", "matplotlib"),
    "data": ("mlflow", "hydra", "matplotlib"),
    "augment": ("mlflow", "hydra", "matplotlib"),
    "models": ("mlflow", "hydra", "matplotlib"),
    "features": ("mlflow", "hydra", "matplotlib"),
    "evaluate": ("mlflow", "hydra", "matplotlib"),
    "training": ("mlflow", "hydra", "matplotlib"),
    "job": ("mlflow", "hydra", "matplotlib"),
    "tracking": ("hydra", "matplotlib"),
    "compare": ("torch", "hydra", "matplotlib"),
    "report": ("torch", "hydra"),
}
MOST_LINES = 320
MODULES = sorted((ROOT / "transfer").rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(ROOT / "transfer").parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            # `from transfer import job` names the room behind the word import.
            names = [alias.name for alias in node.names] if module == "transfer" else [""]
            yield from (f"{module}.{name}".rstrip(".") for name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_rooms_above_it(path: Path) -> None:
    room = _room(path)
    if room == "__init__":
        assert list(_imports(path)) in ([], ["__future__"])
        return
    allowed = ROOMS[: ROOMS.index(room) + 1]
    for module in _imports(path):
        top, _, rest = module.partition(".")
        if top == "transfer":
            other = rest.partition(".")[0]
            assert other in allowed, f"{room} imports {module}"
            # How a model is trained is for train.py to know.
            assert (room, other) != ("sweep", "training"), f"{room} imports {module}"
        assert top not in FORBIDDEN.get(room, ()), f"{room} imports {module}"


def test_libraries_with_operators_of_their_own_are_loaded_by_the_one_door() -> None:
    """Without it they do not load beside a CPU build of torch. Commands of the tests would not
    notice, for they are forked from a process that has them."""
    experiments = (ROOT / "experiments").rglob("*.py")
    for path in (*MODULES, *experiments, ROOT / "train.py"):
        tops = {module.partition(".")[0] for module in _imports(path)}
        assert not tops & {"torchvision", "timm"}, path


def test_transfer_holds_folders_and_at_most_three_modules() -> None:
    folder = ROOT / "transfer"
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 3
    rooms = {_room(path) for path in MODULES} - {"__init__"}
    assert rooms == set(ROOMS)


def test_no_file_grows_too_long() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    long = {name: len((ROOT / name).read_text().splitlines()) for name in listed}
    assert {name: lines for name, lines in long.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize(
    ("module", "libraries"),
    [
        ("transfer.sweep.entry", ("torch", "mlflow", "pandas")),
        ("transfer.report.write", ("torch",)),
        ("transfer.report.figures.curves", ("torch", "mlflow", "scipy")),
        ("transfer.job", ("mlflow", "matplotlib", "torchvision", "timm")),
    ],
)
def test_importing_a_module_leaves_libraries_unloaded(
    module: str, libraries: tuple[str, ...]
) -> None:
    """By whatever way: train.py answers --help, and a report starts, at once."""
    code = f"import sys, {module}; print(sorted(set({libraries!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
