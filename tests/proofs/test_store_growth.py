"""What grows with the runs of a store: how long its answers take, and how large it is.

One run is logged and copied within the database, so that there are ten thousand in a minute.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.proofs.log_runs import POINTS, log_run
from transfer.tracking.find import find_all_of, find_job_runs, find_similar, find_sweep_run
from transfer.tracking.previous_run import find_previous_run
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import open_store
from transfer.tracking.sweep_run import open_sweep

COUNTS = (100, 1_000, 10_000)
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
_ID = "printf('%032x', n.i)"
_FINGERPRINT = f"CASE key WHEN 'transfer.fingerprint' THEN {_ID} ELSE value END"


def test_ten_thousand_runs(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    client = open_store(f"sqlite:///{database}")
    open_sweep(client, tmp_path, ["seed=0"], [], resume=False)
    log_run(client, tmp_path / "run", 0)
    print(f"\n{POINTS} points a run\n| runs | MB | one job's runs, s | its estimate, s | ", end="")
    print("the latest sweep, s | all runs, s |\n|---|---|---|---|---|---|")
    made, one_job = 1, list[float]()
    for count in COUNTS:
        _copy(database, made, count - 1)
        made = count
        last = f"{count - 1:032x}"
        assert find_previous_run(client, last).state == "finished"
        assert find_all_of(client, 300) is None or count < 300
        model = {"model.name": "as ever", "image_size": "as ever"}
        times = [
            _time(lambda last=last: find_previous_run(client, last)),
            _time(lambda model=model: find_similar(client, model)),
            _time(lambda: find_sweep_run(client, "latest")),
        ]
        one_job.append(times[0])
        shown = " | ".join(f"{each:.3f}" for each in times)
        print(f"| {count:,} | {database.stat().st_size / 1e6:.0f} | {shown} | ", end="", flush=True)
        found = list[RunRecord]()
        every = _time(lambda found=found: found.extend(find_job_runs(client)), times=1)
        assert len(found) == count
        print(f"{every:.1f} |", flush=True)
    # It is found by an index.
    assert one_job[-1] < 3 * one_job[0]


def _copy(database: Path, first: int, last: int) -> None:
    """Give the store copies of its run, with these numbers as their ids and fingerprints."""
    with closing(sqlite3.connect(database)) as store, store:
        job = "SELECT run_uuid FROM tags WHERE key = 'transfer.fingerprint' LIMIT 1"
        [template] = store.execute(job).fetchone()
        for table in ("runs", "params", "tags", "metrics", "latest_metrics"):
            names = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
            values = {"run_uuid": _ID} | ({"value": _FINGERPRINT} if table == "tags" else {})
            chosen = ", ".join(values.get(name, f"t.{name}") for name in names)
            store.execute(
                f"{_NUMBERS} INSERT INTO {table} SELECT {chosen} FROM {table} AS t, n"
                " WHERE t.run_uuid = :template",
                {"first": first, "last": last, "template": template},
            )


def _time(ask: Callable[[], object], times: int = 5) -> float:
    """Seconds of the processor, the least of some times."""
    seconds = []
    for _ in range(times):
        begin = time.process_time()
        ask()
        seconds.append(time.process_time() - begin)
    return min(seconds)
