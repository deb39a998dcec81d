"""The report at a sweep's end, where it cannot be written."""

from __future__ import annotations

import shlex

import pytest

from tests.conftest import PLAIN, TINY, Workplace
from transfer.report import write
from transfer.sweep.driver import Sweep
from transfer.sweep.outcomes import Outcome, note_outcome
from transfer.sweep.state import AutoWeights, Repeats
from transfer.tracking.previous_run import lock_of
from transfer.tracking.store import open_store
from transfer.tracking.sweep_run import PlannedJob


def test_a_report_that_cannot_be_written_is_the_last_word_of_a_sweep(workplace: Workplace) -> None:
    # A folder where a file belongs: what is not allowed to others is allowed to root.
    taken = workplace.folder / "out" / "report.html"
    taken.mkdir(parents=True)
    process = workplace.run(
        "train.py", "-m", *PLAIN, *TINY, "optimizer=sgd", "optimizer.lr=1e30,0.001",
        "hydra.sweep.dir=out", "hydra.sweep.subdir=lr${optimizer.lr}",
    )  # fmt: skip
    assert process.returncode == 1
    assert "Traceback" not in process.stderr and "report:" not in process.stdout
    told = process.stderr.strip().splitlines()
    failed = told.index("1 of 2 jobs failed:")
    assert "optimizer.lr=1e+30: the loss became" in told[failed + 1]
    assert told[-3] == f"no report: {taken.parent} cannot be written (Is a directory: {taken})"
    assert told.index(told[-3]) > failed
    command = shlex.split(told[-1])
    assert command[0] == "python"
    again = workplace.run(*command[1:])
    assert again.returncode == 1
    assert again.stderr == f"{told[-3].removeprefix('no report: ')}\n"
    elsewhere = workplace.run(*command[1:], "out=elsewhere")
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert (workplace.folder / "elsewhere" / "report.md").is_file()
    taken.rmdir()
    assert workplace.run(*command[1:]).returncode == 0
    assert taken.is_file() and taken.with_suffix(".md").is_file()


@pytest.mark.parametrize(
    ("stop", "code"), [(ZeroDivisionError("a bug"), 1), (KeyboardInterrupt(), 130)]
)
def test_a_report_that_breaks_off_is_told_with_what_makes_it(
    workplace: Workplace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop: BaseException,
    code: int,
) -> None:
    def write_report(*_: object) -> None:
        raise stop

    folder = workplace.folder / "out"
    folder.mkdir()
    job = PlannedJob("simple_cnn-freeze0-seed0", "seed=0", "0")
    uri = workplace.store
    sweep = Sweep(
        open_store(uri), folder, lock_of(folder), [], [job], Repeats({}), AutoWeights({}), False,
        store=uri,
    )  # fmt: skip
    sweep.open()
    note_outcome(folder, 0, Outcome("seed=0", "finished", folder=str(folder)))
    monkeypatch.setattr(write, "write_report", write_report)
    [parent] = workplace.runs()
    with pytest.raises(SystemExit) as left:
        sweep.end()
    assert left.value.code == code
    words = capsys.readouterr().err
    told = "interrupted: no report; to make it:"
    if code == 1:
        told = "no report: a bug\nto make it (elsewhere: out=FOLDER):"
    command = shlex.join(["python", "experiments/report.py", f"sweep={parent.info.run_id}"])
    assert words.endswith(f"{told}\n{command} tracking_uri={uri}\n")
    assert ("Traceback" in words) == (code == 1)
    assert workplace.runs()[0].info.status == "FINISHED"
