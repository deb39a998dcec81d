"""What `resume=true` says where it begins anew beside a run that looks like the one meant."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.conftest import PLAIN, TINY, Workplace, config_of
from transfer.job import Job, prepare
from transfer.tracking.near_run import why_anew
from transfer.tracking.start import params_of, start_run
from transfer.tracking.sweep_run import PlannedJob, SweepRun, open_sweep


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
    digests = {"data.digest": "another", "data.files_digest": "another"}
    tested = params_of(_job(workplace))["data.test_images"]
    for changed, told in (
        (digests | {"data.train_images": "51"}, "other images (50 to train on there, 51 here)"),
        (digests | {"data.test_images": "7"}, f"other images ({tested} to test on there, 7 here)"),
        (digests, "other images (as many to train on and to test on)"),
        ({"data.digest": "another"}, "the same image files, divided or read otherwise"),
    ):
        here = params_of(_job(workplace)) | changed
        said_of = why_anew(workplace.client, "simple_cnn-freeze1-seed0", here)
        assert said_of.endswith(f"was another training: {told}")
    elsewhere = params_of(_job(workplace)) | {"data.name": "cifar10"}
    assert why_anew(workplace.client, "simple_cnn-freeze1-seed0", elsewhere) == ""
    assert "it is of another version of this project" in why(_job(workplace))
    other = _job(workplace, "seed=1", "resume=true")
    assert why(other) == ""
    (tmp_path / "other").mkdir()
    with (
        caplog.at_level(logging.INFO),
        start_run(other, tmp_path / "other", sweep=None),
    ):
        pass
    unknown = "the store has no run called simple_cnn-freeze1-seed1 on digits: it begins anew"
    assert f"resume=true: {unknown}" in caplog.messages


def test_another_job_of_the_same_sweep_is_no_earlier_try(
    workplace: Workplace, tmp_path: Path
) -> None:
    """Jobs that differ in what their runs' names do not tell."""
    here, sibling, counted = (
        _job(workplace, f"label_smoothing={value}", "resume=true") for value in (0, 0.1, 0.2)
    )
    planned = [PlannedJob(each.name, "", each.fingerprint) for each in (here, sibling, counted)]
    sweep = open_sweep(workplace.client, tmp_path / "1/1", ["a"], planned, resume=False)
    other = open_sweep(workplace.client, tmp_path / "2/2", ["b"], planned[2:], resume=False)

    def run(job: Job, of: SweepRun) -> str:
        with start_run(job, tmp_path / job.fingerprint, of) as started:
            return started.id

    def why() -> str:
        return why_anew(workplace.client, here.name, params_of(here), sweep)

    run(sibling, sweep)
    # What an earlier sweep has finished of this one counts in it.
    run(counted, other)
    assert why() == ""
    # As in the table of runs, before there is a sweep.
    planned_here = [each.fingerprint for each in planned]
    params = params_of(here)
    assert why_anew(workplace.client, here.name, params, planned=planned_here) == ""
    # Of a sweep whose jobs are chosen as it goes, the parent run tells.
    searched = open_sweep(workplace.client, tmp_path / "3/3", ["c"], [], resume=False)
    earlier = run(_job(workplace, "label_smoothing=0.3"), searched)
    told = why_anew(workplace.client, here.name, params_of(here), searched)
    assert told and earlier not in told
    assert f"run {earlier} (FINISHED) was another training: label_smoothing=0.3 there" in why()
