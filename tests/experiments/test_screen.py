"""experiments/screen.py, as a user runs it."""

from __future__ import annotations

import pytest

from tests.conftest import TINY, Workplace
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.find import find_job_runs, find_tagged
from transfer.tracking.screens import TABLE, find_screens, join_screens, read_screen
from transfer.tracking.store import open_store


def test_a_screen_is_a_run_of_its_own_and_the_next_report_judges_it(workplace: Workplace) -> None:
    words = ("model=simple_cnn", "weights=none", "image_size=16,24,32", *TINY)
    done = workplace.run("experiments/screen.py", *words)
    assert done.returncode == 0, done.stderr
    assert "simple_cnn none 24px" in done.stdout and "never to name the winner" in done.stdout
    client = open_store(workplace.store)
    [run] = find_tagged(client, {"transfer.kind": "screen"})
    assert run.name == "screen" and run.id in done.stdout
    assert run.params["data.name"] == "digits"
    assert 0 < run.metrics["linear/simple_cnn none 24px"] < 1
    assert find_job_runs(client) == []
    [found] = find_screens(client, run.params["data.test_digest"])
    table = read_screen(fetch_artifact(client, found, TABLE, workplace.folder))
    assert sorted(table["image_size"]) == [16, 24, 32]
    assert len(join_screens([table, table])) == 3
    assert find_screens(client, "of other images") == []

    swept = workplace.run("train.py", "-m", *words)
    assert swept.returncode == 0, swept.stderr
    [report] = workplace.folder.glob("multirun/*/*/report.md")
    assert "- How far the screen before these trainings agreed" in report.read_text()
    assert len(find_job_runs(client)) == 3


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("model=resnet18", "image_size=4"), "image_size=4: must be from 8 to 1024 pixels"),
        (("model=all", "weights=none"), "weights=none: model=all brings"),
        (("model=simple_cnn", "weights=starter"), "weights=starter: there are none for simple_cnn"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_run(
    workplace: Workplace, words: tuple[str, ...], line: str
) -> None:
    failed = workplace.run("experiments/screen.py", *words)
    assert failed.returncode == 2
    assert line in failed.stderr and failed.stderr.count("\n") == 1
    client = open_store(workplace.store)
    assert find_tagged(client, {"transfer.kind": "screen"}) == []
