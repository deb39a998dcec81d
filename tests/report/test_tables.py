"""The tables that people read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.compare.runs import RUNS, make_predictions, make_rows, make_run
from tests.report.sweeps import APART, CLOSE, compare
from transfer.compare.comparison import Comparison
from transfer.report.document import Table, to_markdown
from transfer.report.front import front
from transfer.report.language import LANGUAGES, Words
from transfer.report.tables import (
    cost_table,
    is_disturbed,
    is_otherwise,
    measures_table,
    pair_table,
    ranking_table,
    unsound_table,
)
from transfer.tracking.run_record import DEVICE_TAG

WORDS = Words()


def _column(table: Table, header: str) -> list[str]:
    return [line[list(table.headers).index(header)] for line in table.cells]


def test_the_ranking_stands_in_the_order_of_validation_in_ten_columns() -> None:
    runs = [
        make_run(model, 0, seed, 0.7, **{"optimizer.lr": rate, "image_size": size})
        for model, rate, size in (("a", "1", "32"), ("b", "1", "32"), ("b", "2", "64"))
        for seed in range(2)
    ]
    for run in runs:
        chosen = run.params["optimizer.lr"] == "2"
        run.metrics.update(
            {"best/val_acc": 0.8 if chosen else 0.6, "test/acc": 0.7 - 0.05 * chosen}
        )
    table = ranking_table(Comparison(make_rows(runs)), WORDS)
    assert len(table.headers) == 10
    assert table.headers[:4] == ["rank", "configuration", "seeds", "val acc (%)"]
    first = table.cells[0]
    assert first[1].startswith("b image_size=64")
    assert first[3] == "**80.00**" and first[4].startswith("65.00")
    # It is what the others are compared with.
    assert first[5] == first[6] == "–"


def test_the_ranking_shows_intervals_and_the_best_in_bold() -> None:
    table = ranking_table(Comparison(make_rows(RUNS)), WORDS)
    first, second = _column(table, "test acc (%)")
    assert first == "**90.00**" and second.startswith("55.00 (")
    assert len({len(line) for line in to_markdown([table]).splitlines()}) == 1
    equal = Comparison(make_rows([make_run("a", 0, 0, 0.9), make_run("b", 0, 0, 0.9)]))
    assert "**90.00**" not in to_markdown([ranking_table(equal, WORDS)])


def test_no_loss_is_told_to_be_less_than_none() -> None:
    runs = [make_run("a", 0, seed, 0.75, select_by="loss") for seed in range(2)]
    for run, loss in zip(runs, (0.1, 2.0), strict=True):
        run.metrics.update({"test/loss": loss, "best/val_loss": loss})
    right = [True, True, True, True, True, True, False, False]
    answers = {run.id: make_predictions(right * 5) for run in runs}
    for run, even in zip(runs, (0.1, 2.0), strict=True):
        loss = np.full(40, even, np.float32)
        answers[run.id] = replace(answers[run.id], loss=loss)
    comparison = Comparison(make_rows(runs, predictions=answers))
    text = to_markdown([front(comparison, WORDS), ranking_table(comparison, WORDS)])
    assert text.count("0.000 to ") == 2


def test_verdicts_are_seen_from_the_row() -> None:
    table = ranking_table(compare(APART), WORDS)
    assert _column(table, "recipe") == _column(table, "network") == ["–", "worse"]
    assert _column(table, "rank") == ["1", "2"]
    # Better on test than what validation chose.
    turned = compare({"b": 0.6, "c": 0.9}, validation={"b": 0.9, "c": 0.6})
    table = ranking_table(turned, WORDS)
    assert _column(table, "recipe") == ["–", "better"]
    assert _column(table, "rank") == ["2", "1"]
    table = pair_table(turned, WORDS)
    [behind] = _column(table, "behind the first (points)")
    assert behind.startswith("−") and table.cells[0][4] == "better"


def test_what_cannot_be_told_is_told_in_a_word() -> None:
    close = ranking_table(compare(CLOSE, images=100), WORDS)
    assert _column(close, "recipe") == ["–", "not decided"]
    alike = ranking_table(compare(CLOSE, seeds=5, images=20_000), WORDS)
    assert _column(alike, "recipe") == ["–", "equivalent"]
    alone = ranking_table(compare(APART, seeds=1), WORDS)
    assert _column(alone, "recipe") == ["–", "not known: one seed"]
    assert _column(alone, "network") == ["–", "worse"]


def test_repeated_recipes_below_a_first_one_that_was_not_take_no_first_rank() -> None:
    rows = compare({"b": 0.9, "c": 0.7, "d": 0.7}).rows
    alone = {name: list(getattr(rows[0], name))[:1] for name in ("runs", "replicates")}
    files = {name: list(getattr(rows[0], name))[:1] for name in ("histories", "predictions")}
    comparison = Comparison([replace(rows[0], **alone, **files), *rows[1:]])
    table = ranking_table(comparison, WORDS)
    assert _column(table, "rank") == ["1", "2", "2"]
    assert _column(table, "recipe")[1:] == ["not known: one seed"] * 2
    assert comparison.ranked_by == "network" and comparison.pair(1, 2).recipe.kind != "unknown"
    assert comparison.decision is not None and comparison.decision.about == "network"


def test_a_single_row_is_no_surer_than_it_is() -> None:
    table = ranking_table(compare({"b": 0.9}), WORDS)
    assert _column(table, "rank") == ["1"] and _column(table, "P(best) (%)") == ["–"]


def test_what_the_test_set_had_a_say_in_has_no_rank() -> None:
    runs = [
        make_run("a", 0, 0, 0.9, **{"protocol.validation": "test"}),
        make_run("b", 0, 0, 0.8, **{"protocol.augment_evaluation_of": "['b']"}),
        make_run("c", 0, 0, 0.5),
    ]
    comparison = Comparison(make_rows(runs))
    assert len(ranking_table(comparison, WORDS).cells) == 1
    whys = dict(zip("ab", _column(unsound_table(comparison, WORDS), "why"), strict=True))
    assert whys == {"a": "the test set steered its training", "b": "tested on augmented images"}


def test_costs_mark_the_front_and_leave_out_what_nobody_measured() -> None:
    table = to_markdown([cost_table(Comparison(make_rows(RUNS)).rows, WORDS)])
    head, _, first, second = table.splitlines()
    assert "2 M ◆" in first and "**1 k** ◆" in second
    # Equal everywhere: bold would say nothing; the more accurate one is on the front.
    assert "1.00 ◆" in first and "1.00" in second and "**1.00" not in table
    assert "batch 64" not in head and "latency (ms)" in head


def test_a_measure_that_is_missing_is_a_dash() -> None:
    run = make_run("a", 0, 0, 0.5)
    del run.metrics["best/val_acc"]
    assert "–" in to_markdown([ranking_table(Comparison(make_rows([run])), WORDS)])


def test_balanced_accuracy_of_runs_that_did_not_log_it_is_counted() -> None:
    labels = make_predictions([True] * 30)
    uneven = replace(labels, labels=labels.labels * 0, predicted=labels.predicted * 0)
    uneven.labels[:6] = 1
    run = make_run("a", 0, 0, 0.8)
    comparison = Comparison(make_rows([run], predictions={run.id: uneven}))
    table = measures_table(comparison, comparison.rows, WORDS)
    assert _column(table, "balanced test acc (%)") == ["50.00"]


def test_times_of_several_devices_name_theirs() -> None:
    table = to_markdown([cost_table(make_rows(RUNS), WORDS)])
    assert "device" not in table
    other = replace(RUNS[2], params=RUNS[2].params | {"device": "cuda", "threads": "8"})
    table = to_markdown([cost_table(make_rows([*RUNS[:2], other]), WORDS)])
    assert "cuda, threads: 8" in table and "cpu, threads: –" in table
    # Two GPUs of one name are one device, and two of one number are not.
    first, second = (
        replace(
            run,
            params=run.params | {"device": f"cuda:{number}"},
            tags=run.tags | {DEVICE_TAG: "A"},
        )
        for number, run in enumerate((RUNS[0], RUNS[2]))
    )
    assert "device" not in to_markdown([cost_table(make_rows([first, second]), WORDS)])
    other = replace(second, tags=second.tags | {DEVICE_TAG: "B"})
    table = to_markdown([cost_table(make_rows([first, other]), WORDS)])
    assert "A, threads: –" in table and "B, threads: –" in table


def test_what_was_measured_otherwise_is_marked() -> None:
    before, now = make_run("a", 0, 0, 0.5), make_run("b", 0, 0, 0.6)
    now.metrics["time/other_jobs"] = 0
    rows = make_rows([before, now])
    marked = [line for line in cost_table(rows, WORDS).cells if any("‡" in cell for cell in line)]
    assert [line[0] for line in marked] == ["a"]
    assert is_otherwise(rows) and not is_otherwise(make_rows([now]))


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
    rows, words = Comparison(make_rows(runs)).rows, Words(language)
    table = cost_table(rows, words)
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
    assert is_disturbed(rows)
    assert not is_disturbed(make_rows(RUNS))
