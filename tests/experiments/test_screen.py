"""experiments/screen.py, as a user runs it."""

from __future__ import annotations

import pytest

from tests.conftest import Workplace
from transfer.tracking.find import find_job_runs, find_tagged
from transfer.tracking.screens import find_screened
from transfer.tracking.store import open_store


def test_a_screen_is_a_run_of_its_own_that_no_report_takes_for_a_job(workplace: Workplace) -> None:
    words = ("data.train_per_class=5", "model=mobilenet_v3_small,simple_cnn")
    done = workplace.run("experiments/screen.py", *words)
    assert done.returncode == 0, done.stderr
    assert "mobilenet_v3_small starter 32px" in done.stdout
    assert "never to name the winner" in done.stdout
    client = open_store(workplace.store)
    [run] = find_tagged(client, {"transfer.kind": "screen"})
    assert run.name == "screen" and run.id in done.stdout
    assert run.params["data.name"] == "digits"
    assert run.metrics["linear/mobilenet_v3_small starter 32px"] > 0.4
    assert find_job_runs(client) == []
    screened = find_screened(client, run.params["data.test_digest"])
    assert screened is not None
    assert set(screened["model"]) == {"mobilenet_v3_small", "simple_cnn"}
    assert find_screened(client, "of other images") is None


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
