"""The rows as other programs read them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.compare.runs import RUNS, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.report.language import LANGUAGES, Words
from transfer.report.tables import cost_table, is_disturbed, rows_frame


def test_a_row_a_configuration_with_mean_deviation_and_interval() -> None:
    rows = make_rows(RUNS)
    frame = rows_frame([Comparison(rows)]).set_index("model")
    assert frame["seeds"].to_dict() == {"b": 1, "a": 2}
    assert frame.loc["a", "test/acc"] == pytest.approx(0.55)
    assert frame.loc["a", "test/acc_std"] == pytest.approx(0.0707, abs=1e-4)
    assert frame.loc["a", "test/acc_low"] == 0
    # One seed has no deviation.
    assert frame["test/acc_std"].isna()["b"]
    # Without predictions, one seed has no interval.
    assert frame["interval_of"].dropna().to_dict() == {"a": "seeds"}
    assert frame["rank"].to_dict() == {"b": 1, "a": 1}
    assert frame.loc["a", "behind_best"] == pytest.approx(0.4)
    assert frame["profile/macs_front"].to_dict() == {"b": True, "a": True}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("metric", "marked"),
    [("profile/other_jobs", ["profile/latency_ms"]), ("time/other_jobs", ["time/train_s"])],
)
def test_times_that_were_measured_beside_other_jobs_are_marked(
    metric: str, marked: list[str], language: str
) -> None:
    alone, beside = make_run("a", 0, 0, 0.5), make_run("b", 0, 0, 0.6)
    runs = [
        replace(alone, metrics=alone.metrics | {metric: 0}),
        replace(beside, metrics=beside.metrics | {metric: 2}),
        # Of before it was counted.
        make_run("c", 0, 0, 0.4),
    ]
    comparison, words = Comparison(make_rows(runs)), Words(language)
    table = cost_table(comparison, words)
    dagger = {
        (line[0], header)
        for line in table.cells
        for header, cell in zip(table.headers, line, strict=True)
        if cell.endswith("†")
    }
    titles = {name: words(f"column.{name}") for name in marked}
    assert {(row, header.partition(" (")[0]) for row, header in dagger} == {
        ("b", title) for title in titles.values()
    }
    assert is_disturbed(comparison)
    assert not is_disturbed(Comparison(make_rows(RUNS)))
    frame = rows_frame([comparison]).set_index("model")
    assert frame[metric].dropna().to_dict() == {"a": 0, "b": 2}
