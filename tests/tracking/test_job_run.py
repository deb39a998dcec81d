"""What a run leaves in a real store, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import PLAIN, TINY, Workplace, an_epoch, config_of
from transfer.job import Job, prepare
from transfer.tracking.start import start_run


@pytest.fixture
def job(workplace: Workplace) -> Job:
    return prepare(config_of(*PLAIN, *TINY, f"tracking.uri={workplace.store}"))


def test_a_thousand_points_at_most_and_their_mean_is_kept(
    workplace: Workplace, job: Job, tmp_path: Path
) -> None:
    losses = [float(index) for index in range(2503)]
    long = replace(job, config=replace(job.config, epochs=2503))
    assert long.iterations == 5006
    with start_run(long, folder=tmp_path, sweep=None) as run:
        for number in (1, 2):
            run.log_epoch(*an_epoch(number, losses))
        run.log_history()
    points = workplace.client.get_metric_history(run.id, "step/loss")
    assert len(points) == 835
    assert (points[0].step, points[0].value) == (6, 2.5)
    assert points[-1].step == 5006
    # The last stretch is shorter.
    total = 6 * sum(point.value for point in points[:-1]) + 2 * points[-1].value
    assert total == pytest.approx(2 * sum(losses))
    history = pd.read_parquet(tmp_path / "history.parquet")
    assert history[history["metric"] == "step/loss"]["value"].tolist() == losses * 2
    assert history[history["metric"] == "val/acc"]["epoch"].tolist() == [1, 2]


def test_epochs_are_points_from_one(workplace: Workplace, job: Job, tmp_path: Path) -> None:
    with start_run(job, folder=tmp_path, sweep=None) as run:
        run.log_epoch(*an_epoch(1, [1.0, 2.0]))
        run.log_epoch(*an_epoch(2, [3.0, 4.0]))
    for name, value in {
        "train/acc": 0.5,
        "val/acc": 0.25,
        "val/loss": 1.0,
        "lr/head": 0.1,
        "lr/backbone": 0.01,
        "time/epoch_s": 2.0,
    }.items():
        points = workplace.client.get_metric_history(run.id, name)
        assert [(point.step, point.value) for point in points] == [(1, value), (2, value)]
    steps = workplace.client.get_metric_history(run.id, "step/loss")
    assert [(point.step, point.value) for point in steps] == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_params_tags_and_data_set(workplace: Workplace, job: Job, tmp_path: Path) -> None:
    with start_run(job, folder=tmp_path, sweep=None) as run:
        pass
    stored = workplace.client.get_run(run.id)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "simple_cnn-freeze1-seed0"
    assert stored.data.params["optimizer.head_lr"] == "0.001"
    assert stored.data.params["optimizer.lr"] == "0.001"
    assert stored.data.params["augment.rotation"] == "15.0"
    assert stored.data.params["data.train_per_class"] == "5"
    assert stored.data.params["data.digest"] == job.data.digest
    assert stored.data.tags["transfer.fingerprint"] == job.fingerprint
    assert stored.data.tags["hydra.output_dir"] == str(tmp_path)
    [data] = stored.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("digits", job.data.digest)


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("no luck"), "FAILED"), (KeyboardInterrupt(), "KILLED")]
)
def test_the_end_of_a_run_says_what_happened(
    workplace: Workplace, job: Job, tmp_path: Path, error: BaseException, status: str
) -> None:
    with (
        pytest.raises(type(error)),
        start_run(job, folder=tmp_path, sweep=None) as run,
    ):
        raise error
    stored = workplace.client.get_run(run.id)
    assert stored.info.status == status
    assert stored.data.tags["transfer.error"].startswith(type(error).__name__)
