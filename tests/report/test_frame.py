"""The rows as other programs read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compare.runs import RUNS, make_rows, make_run
from tests.report.sweeps import APART, compare
from transfer.compare.comparison import Comparison
from transfer.report.frame import rows_frame


def test_a_row_a_configuration_with_mean_deviation_and_interval() -> None:
    rows = make_rows(RUNS)
    frame = rows_frame([Comparison(rows)]).set_index("model")
    assert frame["replicates"].to_dict() == {"b": 1, "a": 2}
    assert frame.loc["a", "test/acc"] == pytest.approx(0.55)
    assert frame.loc["a", "test/acc_std"] == pytest.approx(0.0707, abs=1e-4)
    assert 0 < frame.loc["a", "test/acc_low"] < 0.5 and 0.6 < frame.loc["a", "test/acc_high"] < 1
    # One seed has no deviation.
    assert frame["test/acc_std"].isna()["b"]
    # Without predictions, one seed has no interval.
    assert frame["interval_of"].dropna().to_dict() == {"a": "seeds"}
    # There is nothing to test by.
    assert frame["rank"].isna().all() and frame.loc["a", "recipe"] == "unknown"
    assert frame.loc["a", "behind_first"] == pytest.approx(0.4)
    assert frame["profile/macs_front"].to_dict() == {"b": True, "a": True}


def test_verdicts_and_their_p_values_are_those_of_the_report() -> None:
    frame = rows_frame([compare(APART)]).set_index("model")
    assert frame["rank"].to_dict() == {"b": 1, "a": 2}
    # What is read first stands first.
    names = list(frame)
    assert names.index("network_p_holm") < names.index("test/loss") < names.index("profile/macs")
    assert frame.loc["a", ["recipe", "network"]].tolist() == ["worse", "worse"]
    assert frame.loc["a", "recipe_p"] <= frame.loc["a", "recipe_p_holm"] < 0.05
    assert frame.loc["a", "behind_first_low"] > 0
    assert frame.loc["b", "probability_best"] > 0.99
    assert frame.loc["b", ["recipe", "network", "behind_first"]].isna().all()


def test_rows_without_a_rank_come_last(tmp_path: Path) -> None:
    steered = make_run("c", 0, 0, 0.99, **{"protocol.validation": "test"})
    frame = rows_frame([Comparison(make_rows([*RUNS, steered]))])
    assert frame["model"].tolist()[-1] == "c"
    assert frame["sound"].tolist() == [True, True, False]
    assert frame["rank"].isna().tolist()[-1]
    frame.to_parquet(tmp_path / "rows.parquet")
    alone = rows_frame([Comparison(make_rows([steered]))])
    assert alone["sound"].tolist() == [False] and alone["rank"].isna().all()


def test_where_nothing_finished_the_columns_stand_still() -> None:
    assert list(rows_frame([])) == list(rows_frame([compare(APART)]).drop(columns="model"))


def test_of_jobs_beside_the_most_counts_among_those_that_counted() -> None:
    runs = [make_run("a", 0, seed, 0.5) for seed in range(3)]
    runs[1].metrics["time/other_jobs"] = 2
    runs[2].metrics["time/other_jobs"] = 0
    frame = rows_frame([Comparison(make_rows(runs))])
    assert frame["time/other_jobs"].tolist() == [2]
