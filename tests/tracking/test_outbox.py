"""What a run logs is on disk first, and in the store in the end: in order, and once."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import PLAIN, TINY, Workplace, an_epoch, config_of, files_up_to, locked
from transfer.job import Job, prepare
from transfer.system.disk import DiskError
from transfer.system.errors import ConfigError
from transfer.tracking.delivery import Delivery
from transfer.tracking.outbox import Outbox, find_outboxes
from transfer.tracking.sender import Sender
from transfer.tracking.start import find_finished, start_run
from transfer.tracking.store import experiment_id
from transfer.tracking.undelivered import deliver, noted_folders
from transfer.training import Checkpoints


@pytest.fixture
def job(workplace: Workplace) -> Job:
    return prepare(config_of(*PLAIN, *TINY, f"tracking.uri={workplace.store}"))


def _impatient(job: Job) -> Job:
    tracking = replace(job.config.tracking, patience_s=0.5)
    return replace(job, config=replace(job.config, tracking=tracking))


def _new_run(workplace: Workplace) -> str:
    client = workplace.client
    return str(client.create_run(experiment_id(client)).info.run_id)


def _points(workplace: Workplace, run_id: str, name: str) -> list[tuple[int, float]]:
    history = workplace.client.get_metric_history(run_id, name)
    return [(point.step, point.value) for point in history]


def test_training_does_not_wait_for_a_locked_store(
    workplace: Workplace, job: Job, tmp_path: Path
) -> None:
    with start_run(job, folder=tmp_path, sweep=None) as run:
        run.log_epoch(*an_epoch(1, [1.0]))
        with locked(workplace):
            begin = time.perf_counter()
            for number in range(2, 12):
                run.log_epoch(*an_epoch(number, [float(number)]))
            # A locked SQLite makes a caller wait 20 s.
            assert time.perf_counter() - begin < 5
            time.sleep(1)
            assert len(Outbox(tmp_path)) >= 10
    assert _points(workplace, run.id, "val/acc") == [(number, 0.25) for number in range(1, 12)]
    assert _points(workplace, run.id, "step/loss") == [(each, float(each)) for each in range(1, 12)]
    assert workplace.client.get_run(run.id).info.status == "FINISHED"
    assert not Outbox(tmp_path).folder.exists()


def test_what_the_store_does_not_take_is_said_and_delivered_later(
    workplace: Workplace, job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with ExitStack() as lock:
        with start_run(_impatient(job), folder=tmp_path, sweep=None) as run:
            run.log_epoch(*an_epoch(1, [1.0, 2.0]))
            lock.enter_context(locked(workplace))
            run.log_epoch(*an_epoch(2, [3.0, 4.0]))
            run.log_history()
        [said] = [each for each in caplog.messages if "deliver them with" in each]
        assert f"python experiments/deliver.py folder={tmp_path}" in said
        assert "1 file, 1 change of status" in said
        assert noted_folders([tmp_path]) == [tmp_path] == find_outboxes(tmp_path)
    # Finished is finished: another try with resume=true sends what is left, and trains nothing.
    finished = find_finished(job, None)
    assert finished is not None
    assert (finished.id, finished.status) == (run.id, "FINISHED")
    assert _points(workplace, run.id, "step/loss") == [(1, 1), (2, 2), (3, 3), (4, 4)]
    [file] = workplace.client.list_artifacts(run.id)
    assert file.path == "history.parquet"
    assert find_outboxes(tmp_path) == [] == noted_folders([tmp_path])


def test_what_arrived_is_not_sent_again(workplace: Workplace, tmp_path: Path) -> None:
    """As after a kill between the store's answer and the removal of the entry."""
    run_id = _new_run(workplace)
    outbox = Outbox(tmp_path)
    outbox.open(run_id, workplace.store)
    outbox.append("params", {"name": "first"})
    outbox.append("metrics", [["val/acc", 0.5, 1, 1000], ["val/acc", 0.6, 2, 1000]])
    for entry in outbox.entries():
        Delivery(workplace.client, run_id, tmp_path, new=True).send([entry])
    # The time differs when an epoch is trained again after its checkpoint was damaged.
    outbox.append("params", {"name": "second", "other": "value"})
    outbox.append("metrics", [["val/acc", 0.6, 2, 2000], ["val/acc", 0.7, 3, 2000]])
    outbox.append("status", {"status": "FINISHED", "time": 3000})
    assert Outbox(tmp_path).finishes(run_id)
    assert deliver(tmp_path, patience_s=30) == 5
    assert _points(workplace, run_id, "val/acc") == [(1, 0.5), (2, 0.6), (3, 0.7)]
    run = workplace.client.get_run(run_id)
    assert run.data.params == {"name": "first", "other": "value"}
    assert (run.info.status, run.info.end_time) == ("FINISHED", 3000)


def test_a_long_backlog_goes_out_in_few_calls(workplace: Workplace, tmp_path: Path) -> None:
    run_id = _new_run(workplace)
    outbox = Outbox(tmp_path)
    outbox.open(run_id, workplace.store)
    for epoch in range(1, 301):
        outbox.append("metrics", [[name, epoch / 7, epoch, epoch] for name in "abcdefgh"])
    begin = time.perf_counter()
    delivery = Delivery(workplace.client, run_id, tmp_path, new=True)
    assert Sender(outbox, delivery).finish(60) == ""
    # One by one, SQLite alone would take more than ten times as long.
    assert time.perf_counter() - begin < 10
    assert _points(workplace, run_id, "h") == [(epoch, epoch / 7) for epoch in range(1, 301)]


def test_an_entry_that_does_not_fit_on_the_disk_leaves_the_others(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.open("0" * 32, "sqlite:///nowhere")
    outbox.append("tags", {"first": "value"})
    with pytest.raises(DiskError, match="cannot be written"), files_up_to(100):
        outbox.append("tags", {"second": "value" * 100})
    outbox.append("tags", {"third": "value"})
    assert [list(entry.content) for entry in Outbox(tmp_path).entries()] == [["first"], ["third"]]


def test_a_run_that_fails_on_a_full_disk_says_so_in_the_store(
    workplace: Workplace, job: Job, tmp_path: Path
) -> None:
    with (
        pytest.raises(DiskError, match="cannot be written"),
        start_run(job, folder=tmp_path, sweep=None) as run,
    ):
        run.log_epoch(*an_epoch(1, [1.0]))
        with files_up_to(100):
            Checkpoints(run.folder, run.id).save(1, {"losses": [0.0] * 100})
    stored = workplace.client.get_run(run.id)
    assert stored.info.status == "FAILED"
    assert "(File too large)" in stored.data.tags["transfer.error"]


def test_a_folder_with_an_undelivered_run_is_not_used_again(
    workplace: Workplace, job: Job, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path)
    outbox.open(_new_run(workplace), workplace.store)
    outbox.append("tags", {"name": "value"})
    words = r"not delivered yet; first: python experiments/deliver\.py folder="
    with pytest.raises(ConfigError, match=words), start_run(job, folder=tmp_path, sweep=None):
        pass
