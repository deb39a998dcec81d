"""Runs kept as files, and restored into another store."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Sweep, Workplace
from transfer.tracking.archive import _without_paths

PICTURE = str(ROOT / "docs" / "accuracy_and_loss.png")


@pytest.fixture(scope="module")
def archive(sweep: Sweep, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    process = sweep.workplace.run("experiments/archive.py", f"keep={folder}")
    assert process.returncode == 0, process.stderr
    assert len(process.stdout.splitlines()) == 4
    return folder


def test_the_report_of_restored_runs_is_that_of_the_runs(
    sweep: Sweep, archive: Path, new_workplace: Callable[[], Workplace]
) -> None:
    other = new_workplace()
    process = other.run("experiments/archive.py", f"restore={archive}")
    assert process.stdout.count("restored") == 4, process.stderr
    again = other.run("experiments/archive.py", f"restore={archive}")
    assert again.stdout.count("the store has this result already") == 4
    for place in (sweep.workplace, other):
        process = place.run("experiments/report.py", "sweep=all", "out=all")
        assert process.returncode == 0, process.stderr
    original, restored = (place.folder / "all" for place in (sweep.workplace, other))
    # Pictures are not kept.
    galleries = r"## (The surest mistakes|Where the two best networks differ)\n.*?\n(?=## )"
    without, found = re.subn(galleries, "", (original / "report.md").read_text(), flags=re.DOTALL)
    assert found == 2
    assert (restored / "report.md").read_text() == without
    assert (restored / "report.csv").read_text() == (original / "report.csv").read_text()
    # What a report reads may be lost later; the rest is still worth a report.
    address = other.runs()[0].info.artifact_uri
    lost = Path(address.removeprefix("file://")) / "history.parquet"
    lost.write_bytes(lost.read_bytes()[:100])
    process = other.run("experiments/report.py", "sweep=all", "out=all")
    assert process.returncode == 0, process.stderr
    assert process.stderr.count("has no history.parquet to read") == 1
    assert len((restored / "report.csv").read_text().splitlines()) == 5
    resumed = other.run(*sweep.command, "resume=true")
    assert resumed.stdout.count("finished before") == 4, resumed.stderr
    assert resumed.returncode == 0
    # Weights are not kept.
    [run_id, *_] = [
        run.info.run_id for run in other.runs() if "transfer.fingerprint" in run.data.tags
    ]
    for call in (
        ("experiments/predict.py", f"run={run_id}", PICTURE),
        ("train.py", f"weights=runs:/{run_id}"),
    ):
        refused = other.run(*call)
        assert refused.returncode == 2
        assert "the store has this run without its weights" in refused.stderr
        assert refused.stderr.count("\n") == 1
    latest = other.run("experiments/predict.py", "run=latest", PICTURE)
    assert latest.stderr == "run=latest: the store has no finished run yet\n"


def test_an_archive_is_small_and_says_nothing_of_its_machine(sweep: Sweep, archive: Path) -> None:
    files = list(archive.glob("*/*"))
    assert len(files) == 12
    assert sum(file.stat().st_size for file in files) < 4 * 50_000
    for file in archive.glob("*/run.json"):
        assert str(sweep.workplace.folder) not in file.read_text()


def test_a_damaged_archive_is_one_line_and_restores_nothing(
    archive: Path, workplace: Workplace, tmp_path: Path
) -> None:
    for number, file in enumerate(sorted(archive.glob("*/*"))):
        copy = tmp_path / file.relative_to(archive)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(file.read_bytes()[: 40 if number == 10 else None])
    process = workplace.run("experiments/archive.py", f"restore={tmp_path}")
    assert process.returncode == 2
    assert len(process.stderr.strip().splitlines()) == 1
    assert "not a run as keep= writes it" in process.stderr
    assert workplace.runs() == []


def test_no_address_and_no_folder_is_kept() -> None:
    params = {"tracking.uri": "postgresql://u:secret@h/db", "data.root": "/home/me/cats"}
    params |= {"weights": "/home/me/cats.pth", "seed": "0"}
    kept = {"data.root": "cats", "weights": "cats.pth", "seed": "0"}
    assert _without_paths(params) == kept


@pytest.mark.parametrize("arguments", [(), ("keep=a", "restore=b"), ("restore=nowhere",)])
def test_what_cannot_be_is_one_line(workplace: Workplace, arguments: tuple[str, ...]) -> None:
    process = workplace.run("experiments/archive.py", *arguments)
    assert process.returncode == 2
    assert len(process.stderr.strip().splitlines()) == 1
