"""What a run logs is in its folder first, and in the store in the end: in order, and once."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import PLAIN, TINY, Workplace, an_epoch, config_of, files_up_to, locked
from transfer.job import Job, prepare
from transfer.system.checkpoints import Checkpoints
from transfer.system.disk import DiskError
from transfer.system.errors import ConfigError
from transfer.tracking.delivery import deliver, noted_folders
from transfer.tracking.run_state import POINTS, Point, RunState, find_undelivered, is_in_store
from transfer.tracking.start import find_finished, start_run
from transfer.tracking.stored_run import create_run
from transfer.tracking.sync import Sync


@pytest.fixture
def job(workplace: Workplace) -> Job:
    return prepare(config_of(*PLAIN, *TINY, f"tracking.uri={workplace.store}"))


def _impatient(job: Job) -> Job:
    tracking = replace(job.config.tracking, patience_s=0.5)
    return replace(job, config=replace(job.config, tracking=tracking))


def _new_run(workplace: Workplace, folder: Path) -> RunState:
    """A run that the store knows by name alone, and its folder."""
    state = RunState(folder, "name", {})
    create_run(workplace.client, state)
    state.write()
    return state


def _kept(folder: Path) -> RunState:
    state = RunState.load(folder)
    assert state is not None
    return state


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
            assert not is_in_store(tmp_path)
            assert len(_kept(tmp_path).points) == 88
    assert _points(workplace, run.id, "val/acc") == [(number, 0.25) for number in range(1, 12)]
    assert _points(workplace, run.id, "step/loss") == [(each, float(each)) for each in range(1, 12)]
    assert workplace.client.get_run(run.id).info.status == "FINISHED"
    assert is_in_store(tmp_path)


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
        assert "1 file, 1 status" in said
        assert noted_folders([tmp_path]) == [tmp_path] == find_undelivered(tmp_path)
    # Finished is finished: another try with resume=true sends what is left, and trains nothing.
    finished = find_finished(job, None)
    assert finished is not None
    assert (finished.id, finished.status) == (run.id, "FINISHED")
    assert _points(workplace, run.id, "step/loss") == [(1, 1), (2, 2), (3, 3), (4, 4)]
    [file] = workplace.client.list_artifacts(run.id)
    assert file.path == "history.parquet"
    assert find_undelivered(tmp_path) == [] == noted_folders([tmp_path])


def test_what_arrived_is_not_sent_again(workplace: Workplace, tmp_path: Path) -> None:
    """As after a kill between the store's answer and whatever notes it."""
    state = _new_run(workplace, tmp_path)
    state.update(params={"name": "first"})
    state.append([Point("val/acc", 0.5, 1, 1000), Point("val/acc", 0.6, 2, 1000)])
    sync = Sync(workplace.client, state)
    sync.finish(30)
    assert str(sync) == ""
    # The time differs when an epoch is trained again after its checkpoint was damaged.
    state.append([Point("val/acc", 0.6, 2, 2000), Point("val/acc", 0.7, 3, 2000)])
    state.update(params=state.params | {"other": "value"}, status="FINISHED", end_time=3000)
    assert find_undelivered(tmp_path) == [tmp_path]
    assert deliver(tmp_path, patience_s=30) == 3
    assert deliver(tmp_path, patience_s=30) == 0 == deliver(tmp_path, patience_s=30)
    assert _points(workplace, state.run_id, "val/acc") == [(1, 0.5), (2, 0.6), (3, 0.7)]
    run = workplace.client.get_run(state.run_id)
    assert run.data.params == {"name": "first", "other": "value"}
    assert (run.info.status, run.info.end_time) == ("FINISHED", 3000)
    assert is_in_store(tmp_path)


def test_a_long_backlog_goes_out_in_few_calls(workplace: Workplace, tmp_path: Path) -> None:
    state = _new_run(workplace, tmp_path)
    for epoch in range(1, 301):
        state.append([Point(name, epoch / 7, epoch, epoch) for name in "abcdefgh"])
    begin = time.perf_counter()
    sync = Sync(workplace.client, state)
    sync.finish(60)
    assert str(sync) == "" and sync.delivered == 2400
    # One by one, SQLite alone would take more than ten times as long.
    assert time.perf_counter() - begin < 10
    assert _points(workplace, state.run_id, "h") == [(n, n / 7) for n in range(1, 301)]


def test_what_does_not_fit_on_the_disk_leaves_the_rest(tmp_path: Path) -> None:
    state = RunState(tmp_path, "name", {}, run_id="0" * 32)
    state.write()
    state.append([Point("first", 1, 1, 1)])
    with pytest.raises(DiskError, match="cannot be written"), files_up_to(100):
        state.append([Point(f"second/{index}", 1, 1, 1) for index in range(100)])
    with pytest.raises(DiskError, match="cannot be written"), files_up_to(100):
        state.update(tags={"second": "value" * 100})
    assert _kept(tmp_path).tags == {}
    state.append([Point("third", 1, 1, 1)])
    state.update(tags={"third": "value"})
    kept = _kept(tmp_path)
    assert [point.name for point in kept.points.values()] == ["first", "third"]
    assert kept.tags == {"third": "value"} and not kept.unreadable


def test_what_the_disk_refuses_may_still_reach_the_store(
    workplace: Workplace, tmp_path: Path
) -> None:
    state = _new_run(workplace, tmp_path)
    with pytest.raises(DiskError), files_up_to(10):
        state.append([Point("val/acc", 0.5, 1, 1)])
    with pytest.raises(DiskError), files_up_to(10):
        state.update(end_time=1000, status="FAILED")
    sync = Sync(workplace.client, state)
    sync.finish(30)
    assert str(sync) == ""
    assert workplace.client.get_run(state.run_id).info.status == "FAILED"
    assert _points(workplace, state.run_id, "val/acc") == [(1, 0.5)]


def test_a_kill_in_the_middle_of_a_line_costs_that_line(
    workplace: Workplace, tmp_path: Path
) -> None:
    state = _new_run(workplace, tmp_path)
    state.append([Point("val/acc", 0.5, 1, 1), Point("val/acc", 0.5, 2, 1)])
    path = tmp_path / POINTS
    path.write_bytes(path.read_bytes()[:-5])
    kept = _kept(tmp_path)
    assert [point.step for point in kept.points.values()] == [1] and not kept.unreadable
    assert deliver(tmp_path, patience_s=30) == 1
    kept.write()
    kept.append([Point("val/acc", 0.5, 2, 1), Point("val/acc", 0.5, 3, 1)])
    assert [point.step for point in _kept(tmp_path).points.values()] == [1, 2, 3]
    assert deliver(tmp_path, patience_s=30) == 2
    assert _points(workplace, state.run_id, "val/acc") == [(1, 0.5), (2, 0.5), (3, 0.5)]


def test_what_is_refused_or_unreadable_does_not_keep_the_rest(
    workplace: Workplace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = _new_run(workplace, tmp_path)
    workplace.client.log_param(state.run_id, "seed", "0")
    for name in ("first.txt", "last.txt"):
        (tmp_path / name).write_text(name)
    state.append([Point("val/acc", 0.5, 1, 1)])
    with (tmp_path / POINTS).open("a") as file:
        file.write('["val/acc", "\n')
    state.append([Point(f"a{index}", 1.0, 1, 1) for index in range(50)])
    state.append([Point("no(good", 1.0, 1, 1), Point("val/acc", 0.6, 2, 1)])
    state.update(
        params={f"key{index}": "0" for index in range(30)} | {"seed": "1", "z": "0"},
        tags={"a": "0", "not\na tag": "1", "z": "0"},
        artifacts={"first.txt": 1, "gone.txt": 1, "last.txt": 1},
        status="FINISHED",
        end_time=3000,
    )
    for _ in range(3):
        caplog.clear()
        with pytest.raises(ConfigError, match="1 point, 1 file") as refused:
            deliver(tmp_path, patience_s=30)
        assert "1 unreadable line, 1 parameter, 1 tag, 1 point, 1 file" in str(refused.value)
        assert len(caplog.messages) == 5
        for word in ("points.jsonl:2", "seed", "tag not", "point no(good of step 1", "gone.txt"):
            assert any(word in message for message in caplog.messages), word
    run = workplace.client.get_run(state.run_id)
    assert run.info.status == "FINISHED"
    assert len(run.data.params) == 32 and run.data.params["seed"] == "0"
    assert (run.data.tags["a"], run.data.tags["z"]) == ("0", "0")
    assert len(run.data.metrics) == 51
    assert _points(workplace, state.run_id, "val/acc") == [(1, 0.5), (2, 0.6)]
    files = workplace.client.list_artifacts(state.run_id)
    assert [file.path for file in files] == ["first.txt", "last.txt"]
    assert find_undelivered(tmp_path) == [tmp_path]


def test_the_thread_outlives_what_is_refused(
    workplace: Workplace, job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with start_run(job, folder=tmp_path, sweep=None) as run:
        run.log_epoch(1, {"val/acc": 0.5, "no(good": 1.0}, [1.0])
        run.log_epoch(2, {"val/acc": 0.6}, [2.0])
        run.log_summary({"test/acc": 0.5})
    assert _points(workplace, run.id, "val/acc") == [(1, 0.5), (2, 0.6)]
    assert _points(workplace, run.id, "test/acc") == [(0, 0.5)]
    stored = workplace.client.get_run(run.id)
    assert stored.info.status == "FINISHED"
    [said] = [each for each in caplog.messages if "deliver them with" in each]
    assert "): 1 point. They are kept in" in said
    assert noted_folders([tmp_path]) == [tmp_path]
    # Nothing more can be done, and the result is there.
    finished = find_finished(job, None)
    assert finished is not None and finished.id == run.id


def test_a_state_that_cannot_be_read_is_one_line(workplace: Workplace, tmp_path: Path) -> None:
    state = _new_run(workplace, tmp_path)
    path = tmp_path / "run_state.json"
    assert path.stat().st_mode & 0o777 == 0o600
    for text in (path.read_text()[:40], "[]", '{"name": "alone"}', "\0"):
        path.write_text(text)
        assert find_undelivered(tmp_path) == [tmp_path]
        with pytest.raises(ConfigError, match=r"run_state\.json is gone or cannot be read"):
            deliver(tmp_path, patience_s=1)
    assert workplace.client.get_run(state.run_id).info.status == "RUNNING"


def test_a_run_whose_state_is_damaged_goes_on_and_tells_all_anew(
    workplace: Workplace, job: Job, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt), start_run(job, folder=tmp_path, sweep=None) as run:
        run.log_epoch(*an_epoch(1, [1.0]))
        raise KeyboardInterrupt
    (tmp_path / "run_state.json").write_text("{")
    again = replace(job, config=replace(job.config, resume=True))
    with start_run(again, folder=tmp_path / "other", sweep=None) as same:
        for number in (1, 2):
            same.log_epoch(*an_epoch(number, [float(number)]))
    assert (same.id, same.folder) == (run.id, tmp_path)
    assert _points(workplace, run.id, "val/acc") == [(1, 0.25), (2, 0.25)]
    stored = workplace.client.get_run(run.id)
    assert stored.info.status == "FINISHED" and "transfer.error" not in stored.data.tags
    assert is_in_store(tmp_path)


def test_a_run_that_is_deleted_meanwhile_is_said(
    workplace: Workplace, job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with start_run(_impatient(job), folder=tmp_path, sweep=None) as run:
        run.log_epoch(*an_epoch(1, [1.0]))
        workplace.client.delete_run(run.id)
        run.log_epoch(*an_epoch(2, [2.0]))
    assert run.undelivered == ""
    said = [each for each in caplog.messages if "was deleted there" in each]
    assert "the run goes on" in said[0] and f"restore --run-id {run.id}; all of it" in said[-1]
    # Nothing is left to be delivered, and nothing fails, for as long as it is deleted.
    assert deliver(tmp_path, patience_s=30) == 0
    workplace.client.restore_run(run.id)
    assert deliver(tmp_path, patience_s=30) > 0
    assert _points(workplace, run.id, "step/loss") == [(1, 1), (2, 2)]


def test_an_epoch_costs_the_training_no_rewriting(tmp_path: Path) -> None:
    """An epoch may take 10 ms; what is flushed to the disk is what is new."""
    state = RunState(tmp_path, "name", {f"tag{index}": "value" for index in range(100)})
    state.write()
    written = (tmp_path / "run_state.json").stat().st_mtime_ns
    sizes = []
    for epoch in range(1000, 1003):
        state.append([Point(name, 0.5, epoch, 1) for name in "abcdefgh"])
        sizes.append((tmp_path / POINTS).stat().st_size)
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] < 300
    assert (tmp_path / "run_state.json").stat().st_mtime_ns == written


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
    _new_run(workplace, tmp_path).update(tags={"name": "value"})
    words = r"not delivered yet; first: python experiments/deliver\.py folder="
    with pytest.raises(ConfigError, match=words), start_run(job, folder=tmp_path, sweep=None):
        pass
