"""The report again, from MLflow alone."""

from __future__ import annotations

from tests.conftest import Sweep


def test_equals_the_one_written_at_the_end_of_the_sweep(sweep: Sweep) -> None:
    process = sweep.workplace.run("experiments/report.py", "sweep=latest", "out=again")
    assert process.returncode == 0, process.stderr
    again = sweep.workplace.folder / "again"
    assert (again / "report.md").read_text() == (sweep.folder / "report.md").read_text()
    assert len(list((again / "figures").iterdir())) == 3


def test_a_sweep_by_its_name(sweep: Sweep) -> None:
    name = f"{sweep.folder.parent.name}/{sweep.folder.name}"
    process = sweep.workplace.run("experiments/report.py", f"sweep={name}", "out=by-name")
    assert process.returncode == 0, process.stderr


def test_what_is_not_there_is_one_line(sweep: Sweep) -> None:
    for arguments, words in (
        (["sweep=yesterday"], "sweep=yesterday: no such sweep"),
        (["sweeep=latest"], "unknown argument; the keys are sweep, out"),
    ):
        process = sweep.workplace.run("experiments/report.py", *arguments)
        assert process.returncode == 2
        assert words in process.stderr
        assert len(process.stderr.strip().splitlines()) == 1
