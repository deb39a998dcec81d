"""What runs log is declared, and read as it is declared."""

from __future__ import annotations

import pandas as pd

from tests.conftest import TIMED, Sweep, children
from transfer.tracking.metrics import METRICS, Metric


def test_every_metric_of_a_run_is_declared_and_every_declared_one_logged(sweep: Sweep) -> None:
    for run in children(sweep.workplace).values():
        logged = set(run.data.metrics)
        assert logged == set(METRICS)
        path = f"{run.data.tags['hydra.output_dir']}/history.parquet"
        assert set(pd.read_parquet(path)["metric"]) <= set(METRICS)


def test_numbers_read_as_people_write_them() -> None:
    assert METRICS["test/acc"].text(0.98765) == "98.77"
    assert METRICS["profile/macs"].text(11_173_962) == "11.2 M"
    assert METRICS["profile/macs"].text(12) == "12"
    assert METRICS["profile/latency_64_ms"].text(12.345) == "12.3"
    assert METRICS["test/acc"].text(float("nan")) == "–"


def test_the_better_value_follows_the_direction() -> None:
    assert METRICS["test/acc"].best([0.1, 0.9]) == 0.9
    assert METRICS["test/loss"].best([0.1, 0.9]) == 0.1
    # A gap too far either way is no better than too far the other.
    assert Metric("gap", better="nearest zero").best([-0.3, 0.2, 0.4]) == 0.2


def test_only_clocks_and_memory_differ_between_equal_runs() -> None:
    assert "time/epoch_s" in TIMED and "profile/peak_memory_mb" in TIMED
    assert not [name for name in TIMED if name.startswith(("test/", "val/", "train/", "best/"))]
