"""The report's tables and what surrounds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from tests.report.runs import RUNS, make_rows, make_run
from transfer.report.comparison import Comparison
from transfer.report.language import Words
from transfer.report.markdown import to_markdown
from transfer.report.sections import build_document, cost_table, outcome_table, ranking_table
from transfer.report.selection import Selection
from transfer.tracking.find import RunRecord

WORDS = Words()
SWEEP = RunRecord("id", "sweep", "FAILED", {}, {}, {"transfer.sweep": "day/time"})


def _report(runs: Iterable[RunRecord]) -> str:
    runs = list(runs)
    rows = make_rows(runs)
    selection = Selection(runs, [SWEEP])
    return to_markdown(build_document(rows, Comparison(rows), selection, [], WORDS))


def test_the_ranking_shows_mean_deviation_and_interval_and_the_best_in_bold() -> None:
    rows = make_rows(RUNS)
    table = to_markdown([ranking_table(rows, Comparison(rows), WORDS)])
    head, _, first, second = table.splitlines()
    assert "test acc %" in head and "seeds" in head
    assert "**90.00**" in first
    assert "55.00" in second and "7.07" in second and "-8.53 – 118.53" in second
    assert len({len(line) for line in table.splitlines()}) == 1


def test_costs_mark_the_front_and_leave_out_what_nobody_measured() -> None:
    table = to_markdown([cost_table(make_rows(RUNS), WORDS)])
    head, _, first, second = table.splitlines()
    assert "2 M ◆" in first and "**1 k** ◆" in second
    # Equal everywhere: bold would say nothing; the more accurate one is on the front.
    assert "1.00 ◆" in first and "1.00" in second and "**1.00" not in table
    assert "latency of 64" not in head


def test_a_measure_that_is_missing_is_a_dash() -> None:
    run = make_run("a", 0, 0, 0.5)
    del run.metrics["best/val_acc"]
    rows = make_rows([run])
    assert "–" in to_markdown([ranking_table(rows, Comparison(rows), WORDS)])


def test_what_did_not_finish_is_listed_with_its_error() -> None:
    failed = make_run("b", 5, 0, 0.3, status="FAILED")
    failed.tags["transfer.error"] = "RuntimeError: a | b"
    assert "RuntimeError: a \\| b" in to_markdown([outcome_table([failed], WORDS)])
    report = _report([failed])
    assert "## Not finished" in report
    assert "b-freeze5-seed0" in report
    # Nothing finished: nothing is compared.
    assert "## Ranking" not in report


def test_the_title_counts_and_the_header_names_the_source() -> None:
    report = _report(RUNS)
    assert report.startswith("# Comparison: 2 configurations, 4 runs")
    assert "sweep: day/time (MLflow run id)" in report
    filtered = Selection(RUNS, [], "epochs=3", left_out=7)
    rows = make_rows(RUNS)
    text = to_markdown(build_document(rows, Comparison(rows), filtered, [], WORDS))
    assert "`epochs=3`; 7 other runs do not fit it" in text


def test_a_row_that_the_test_set_steered_is_marked_as_no_estimate() -> None:
    steered = [
        dataclasses.replace(run, params=run.params | {"protocol.validation": "test"})
        for run in RUNS
    ]
    assert "no estimate for new images" in _report(steered)
    assert "no estimate for new images" not in _report(RUNS)
