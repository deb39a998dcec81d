"""Jobs that pause after an epoch, and go on as if they never had."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.torch import load_file

from tests.conftest import FASTEST, TINY, Workplace, children
from tests.sweep.test_resume import history
from transfer.system.errors import ConfigError
from transfer.tracking.find import find_job_run
from transfer.tracking.standing import read_scores, read_standing

COMMAND = ("train.py", "-m", *FASTEST, *TINY, "epochs=3")


def test_a_paused_job_keeps_its_standing_and_goes_on_bit_for_bit(
    workplace: Workplace, new_workplace: object
) -> None:
    """The first pause lies between two phases, the second within one."""
    assert callable(new_workplace)
    undisturbed = new_workplace()
    assert undisturbed.run(*COMMAND).returncode == 0
    first = workplace.run(*COMMAND, "stop_after=1")
    assert first.returncode == 0, first.stderr
    assert "1 of 1 jobs paused; to go on:" in first.stdout
    assert "epochs=3 resume=true\n" in first.stdout
    assert {run.info.status for run in workplace.runs()} == {"SCHEDULED"}
    paused = children(workplace)
    for run in paused.values():
        assert run.data.tags["transfer.paused"] == "1"
        assert "stop_after" not in run.data.params
        [report] = workplace.folder.glob("multirun/*/*/report.md")
        assert "paused after epoch 1" in report.read_text()
        folder = report.parent / run.info.run_name[-1]
        standing = read_standing(folder, 1, run.info.run_id)
        assert standing is not None and standing.answers is not None
        assert len(standing.answers.labels) == 143
        [point] = workplace.client.get_metric_history(run.info.run_id, "val/acc")
        assert standing.score == point.value == np.mean(standing.answers.correct)
        assert read_standing(folder, 1, "another") is None
        scores = read_scores(folder, 1)
        assert scores is not None and scores.score == standing.score
        assert read_standing(folder, 2) is None and read_scores(folder, 99) is None
        with pytest.raises(ConfigError, match="this run is paused after epoch 1, so it has no"):
            find_job_run(workplace.client, run.info.run_id)
    second = workplace.run(*COMMAND, "stop_after=2", "resume=true")
    assert second.returncode == 0 and second.stdout.count("going on after epoch 1") == 1
    # Where a job has been, it trains nothing.
    again = workplace.run(*COMMAND, "stop_after=1", "resume=true")
    assert again.returncode == 0 and "epoch  " not in again.stdout
    last = workplace.run(*COMMAND, "resume=true")
    assert last.returncode == 0, last.stderr
    assert len(workplace.runs()) == 2
    assert {run.info.status for run in workplace.runs()} == {"FINISHED"}
    for name, run in children(workplace).items():
        assert run.info.run_id == paused[name].info.run_id
        assert "transfer.paused" not in run.data.tags
        twin = children(undisturbed)[name]
        assert history(workplace.client, run) == history(undisturbed.client, twin)
        ours, theirs = (
            load_file(place.client.download_artifacts(each.info.run_id, "weights.safetensors"))
            for place, each in ((workplace, run), (undisturbed, twin))
        )
        assert all((ours[key] == theirs[key]).all() for key in theirs)


def test_a_pause_that_no_job_comes_to_is_refused(workplace: Workplace) -> None:
    done = workplace.run("train.py", *FASTEST, *TINY, "stop_after=2")
    assert done.returncode == 2
    assert done.stderr == (
        "stop_after=2: this job does not use it; what would: a number below epochs=2\n"
    )
    assert not workplace.runs()
