"""What is left of runs, delivered from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.arguments import parse
from experiments.deliver import Options, main
from tests.conftest import Workplace
from transfer.system.errors import ConfigError
from transfer.tracking.run_state import RunState, find_undelivered
from transfer.tracking.stored_run import create_run


def _left(workplace: Workplace, folder: Path) -> str:
    """Make a folder whose run has a tag and its end to deliver; returns the run's id."""
    folder.mkdir(exist_ok=True)
    state = RunState(folder, "name", {})
    create_run(workplace.client, state)
    state.write()
    state.update(tags={"name": "value"}, status="FINISHED", end_time=1000)
    return state.run_id


def _deliver(*arguments: str) -> None:
    main(parse(arguments, Options, ""))


def test_every_job_below_a_folder(
    workplace: Workplace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = [_left(workplace, tmp_path / name) for name in ("0", "1")]
    _deliver(f"folder={tmp_path}")
    assert capsys.readouterr().out == f"{tmp_path}/0: 2 delivered\n{tmp_path}/1: 2 delivered\n"
    for run_id in runs:
        run = workplace.client.get_run(run_id)
        assert (run.info.status, run.data.tags["name"]) == ("FINISHED", "value")
    _deliver(f"folder={tmp_path}")
    assert capsys.readouterr().out == "nothing is left to deliver\n"


def test_a_store_that_still_takes_nothing_is_one_line_a_job(
    workplace: Workplace,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _left(workplace, tmp_path)
    with pytest.raises(SystemExit) as ended:
        _deliver(f"folder={tmp_path}", "tracking_uri=http://127.0.0.1:9")
    assert ended.value.code == 3
    said = "the store cannot be opened (Connection refused)"
    assert capsys.readouterr().err == f"tracking.uri=http://127.0.0.1:9: {said}\n"
    assert find_undelivered(tmp_path) == [tmp_path]


@pytest.mark.parametrize("arguments", [(), ("folder=nowhere",), ("folder=.", "other=1")])
def test_a_wrong_argument_is_one_line(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        _deliver(*arguments)
