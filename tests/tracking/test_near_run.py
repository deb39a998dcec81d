"""What `resume=true` says where it begins anew beside a run that looks like the one meant."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.conftest import PLAIN, TINY, Workplace, config_of
from transfer.job import Job, prepare
from transfer.tracking.near_run import why_anew
from transfer.tracking.start import params_of, start_run


def _job(workplace: Workplace, *overrides: str) -> Job:
    return prepare(config_of(*PLAIN, *TINY, *overrides, f"tracking.uri={workplace.store}"))


def test_what_keeps_a_run_from_going_on_is_named(
    workplace: Workplace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "first").mkdir()
    with start_run(_job(workplace), tmp_path / "first", sweep=None) as run:
        pass
    changes = ["epochs=3", "data.train_per_class=6", "resume=true"]
    (tmp_path / "second").mkdir()
    with (
        caplog.at_level(logging.INFO),
        start_run(_job(workplace, *changes), tmp_path / "second", sweep=None) as second,
    ):
        pass
    [said] = [each for each in caplog.messages if "begins anew" in each]
    assert said == (
        f"resume=true: simple_cnn-freeze1-seed0 begins anew: run {run.id} (FINISHED) was another "
        "training: epochs=2 there, 3 here, data.train_per_class=5 there, 6 here"
    )

    def why(job: Job) -> str:
        return why_anew(workplace.client, job.name, params_of(job))

    # The nearest counts, whenever it was; and of another name none is.
    assert f"{run.id} (FINISHED) was another training: epochs=2 there, 4 here" in why(
        _job(workplace, "epochs=4")
    )
    assert second.id in why(_job(workplace, *changes, "label_smoothing=0.1"))
    added = params_of(_job(workplace)) | {"data.digest": "another", "data.train_images": "51"}
    assert why_anew(workplace.client, "simple_cnn-freeze1-seed0", added).endswith(
        "was another training: other images (50 to train on there, 51 here)"
    )
    assert "it is of another version of this project" in why(_job(workplace))
    assert why(_job(workplace, "seed=1")) == ""
