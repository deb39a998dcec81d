"""The report again, from MLflow alone."""

from __future__ import annotations

import pandas as pd
import pytest

from experiments.report import Options, main
from tests.conftest import Sweep, Workplace
from transfer.system.errors import ConfigError


def test_equals_the_one_written_at_the_end_of_the_sweep(sweep: Sweep) -> None:
    process = sweep.workplace.run("experiments/report.py", "sweep=latest", "out=again")
    assert process.returncode == 0, process.stderr
    again = sweep.workplace.folder / "again"
    assert (again / "report.md").read_text() == (sweep.folder / "report.md").read_text()
    assert len(list((again / "figures").iterdir())) == 8
    # The text has six digits, and 3.0 is 3 there.
    text, binary = pd.read_csv(again / "report.csv"), pd.read_parquet(again / "report.parquet")
    pd.testing.assert_frame_equal(text, binary, check_dtype=False, rtol=1e-4)


def test_all_runs_that_fit_in_another_language(sweep: Sweep) -> None:
    arguments = ("sweep=all", "where=freeze_epochs=1 and test/acc>=0", "--lang", "zh", "out=zh")
    process = sweep.workplace.run("experiments/report.py", *arguments)
    if process.returncode == 2:
        # This machine has no Chinese font.
        assert "lang=zh: figures in Chinese need a font" in process.stderr
        assert len(process.stderr.strip().splitlines()) == 1
        return
    assert process.returncode == 0, process.stderr
    assert "对比：2 个配置，2 次运行" in (sweep.workplace.folder / "zh" / "report.md").read_text()


def test_a_sweep_by_its_name(sweep: Sweep) -> None:
    name = f"{sweep.folder.parent.name}/{sweep.folder.name}"
    process = sweep.workplace.run("experiments/report.py", f"sweep={name}", "out=by-name")
    assert process.returncode == 0, process.stderr


def test_what_is_not_there_is_one_line(sweep: Sweep) -> None:
    for arguments, words in (
        (["sweep=yesterday"], "sweep=yesterday: no such sweep"),
        (["sweeep=latest"], "unknown argument; the keys are sweep, where, lang, out"),
        (["where=epochs=99"], "where=epochs=99: no run fits; 4 runs do not"),
        (["lang=fr"], "lang=fr: must be one of en, zh"),
        (["equivalent_within=0"], "equivalent_within=0: must be above 0 and below 100: points of"),
        (["equivalent_within=a"], "equivalent_within=a: invalid float value"),
        (["out=/dev/null/report"], "out=/dev/null/report: this folder cannot be made"),
    ):
        process = sweep.workplace.run("experiments/report.py", *arguments)
        assert process.returncode == 2
        assert words in process.stderr
        assert len(process.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        ("all", "sweep=all: the store has no run of it yet"),
        ("latest", "sweep=latest: the store has no sweep yet; sweep=all takes single runs"),
    ],
)
def test_a_store_without_any_run_is_told_as_such(
    workplace: Workplace, sweep: str, told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        main(Options(sweep=sweep, tracking_uri=workplace.store))
    assert str(refused.value) == told
