"""The report's tables and what surrounds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest

from tests.compare.runs import RUNS, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.replicates import by_test_set
from transfer.report.document import to_markdown
from transfer.report.front import front
from transfer.report.language import LANGUAGES, Words
from transfer.report.sections import Part, build_document, build_summary
from transfer.report.tables import outcome_table
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import Selection

WORDS = Words()
SWEEP = RunRecord("id", "sweep", "FAILED", {}, {}, {"transfer.sweep": "day/time"})


def _report(runs: Iterable[RunRecord]) -> str:
    runs = list(runs)
    return to_markdown(build_document(_parts(runs), Selection(runs, [SWEEP]), WORDS))


def _parts(runs: Iterable[RunRecord]) -> list[Part]:
    groups = [make_rows(group) for group in by_test_set(runs)]
    return [Part(Comparison(rows), []) for rows in groups]


def test_each_way_of_normalising_is_told_with_its_models() -> None:
    def run(model: str, source: str) -> RunRecord:
        values = {"source": source, "mean": "0.5 0.4 0.3", "std": "0.2 0.2 0.2"}
        return make_run(
            model, 0, 0, 0.5, **{f"normalization.{name}": text for name, text in values.items()}
        )

    one = _report([run("a", "weights"), run("b", "weights")])
    line = "images normalised as the weights were trained: mean 0.5 0.4 0.3, std 0.2 0.2 0.2"
    assert f"- {line}\n" in one
    both = _report([run("a", "weights"), run("b", "images")])
    assert f"- {line} (a)\n" in both
    assert "- images normalised by the training images: mean 0.5 0.4 0.3" in both
    assert "normalised" not in _report(RUNS)


def test_images_that_were_skipped_are_counted() -> None:
    assert "could not be read" not in _report([make_run("a", 0, 0, 0.5)])
    run = make_run("a", 0, 0, 0.5, **{"data.skipped_images": "13"})
    assert "images left out, as they could not be read: 13 (" in _report([run])
    whole = make_run("a", 0, 0, 0.5, **{"data.skipped_images": "0"})
    assert "could not be read" not in _report([whole])


def test_what_did_not_finish_is_listed_with_its_error() -> None:
    failed = make_run("b", 5, 0, 0.3, status="FAILED")
    failed.tags["transfer.error"] = "RuntimeError: a |\n b"
    failed.tags["transfer.overrides"] = "model=b freeze_epochs=5"
    table = to_markdown([outcome_table([failed], WORDS)])
    assert "RuntimeError: a \\| b" in table and "model=b freeze_epochs=5" in table
    assert len(table.strip().splitlines()) == 3
    report = _report([failed])
    assert "## Not finished" in report
    assert "b-freeze5-seed0" in report
    # Nothing finished: nothing is compared, and no test image was read.
    assert "## Ranking" not in report and "read once" not in report
    assert "\n> - **Nothing here can be chosen**: no run finished.\n" in report
    assert "**Nothing here can be chosen**: no run" in front(Comparison([]), WORDS).lines[0]


def test_the_answer_comes_first_and_where_it_comes_from_last() -> None:
    report = _report(RUNS)
    assert report.startswith(
        "# Comparison: 2 configurations, 4 runs\n\n**1 of 4 runs did not finish**"
    )
    before, _, last = report.partition("## Where this comes from")
    assert before.index("> - **Take `b`**") < before.index("## Ranking")
    assert "sweep: day/time (MLflow run id)" in last
    filtered = Selection(RUNS, [], "epochs=3", left_out=7)
    text = to_markdown(build_document(_parts(RUNS), filtered, WORDS))
    assert "`epochs=3`; 7 other runs do not fit it" in text


def test_the_protocol_is_told_as_it_was() -> None:
    report = _report(RUNS)
    assert "measured once, after that, with the weights of the epoch that was best" in report
    assert "## Not ranked" not in report
    last = [dataclasses.replace(r, params=r.params | {"protocol.result": "last"}) for r in RUNS]
    assert "with the weights of the last epoch" in _report(last)
    assert "with the weights of the best epoch on validation or" in _report([*RUNS[:2], last[2]])


def test_what_the_test_set_steered_is_written_still() -> None:
    steered = [
        dataclasses.replace(run, params=run.params | {"protocol.validation": "test"})
        for run in RUNS
    ]
    report = _report(steered)
    assert "**Nothing here can be chosen**" in report and "read once" not in report
    assert "## Not ranked" in report and "## Ranking" not in report
    assert "## Cost" in report and "## What transfer does" in report


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("select_by", "head"),
    [
        ("acc", "99.00 % test accuracy"),
        ("balanced_acc", "98.00 % balanced test accuracy"),
        ("loss", "a test loss of 0.100"),
    ],
)
def test_all_is_told_by_what_the_runs_were_selected_by(
    select_by: str, head: str, language: str
) -> None:
    runs = [make_run(m, 0, seed, 0.99, select_by=select_by) for m in "ab" for seed in range(2)]
    for run in runs:
        worse = 0.3 * (run.params["model.name"] == "a")
        for name, value in (("acc", 0.99), ("balanced_acc", 0.98), ("loss", 0.1)):
            of_it = value + worse if name == "loss" else value - worse
            run.metrics.update({f"test/{name}": of_it, f"best/val_{name}": of_it})
    words = Words(language)
    report = to_markdown(build_document(_parts(runs), Selection(runs, [SWEEP]), words))
    assert ("`select_by`" in report) == (select_by != "acc")
    if language == "en":
        assert "**Take `b`**" in report and f"measured after the choice: {head}" in report
        assert ("+0.300" if select_by == "loss" else "+30.00") in report.split("## Findings")[0]


def test_what_was_tested_on_other_images_has_a_part_of_its_own() -> None:
    runs = [
        dataclasses.replace(run, params=run.params | {"data.name": name, "data.test_digest": name})
        for name in ("digits", "cifar10")
        for run in RUNS
    ]
    report = _report(runs)
    assert "tested on 2 different sets of images" in report
    for name in ("digits", "cifar10"):
        assert f"## Tested on {name}: unknown images" in report
    # Each has its own winner.
    assert report.count("**Take `b`**") == report.count("### Ranking") == 2
    summary = to_markdown(build_summary(_parts(runs), WORDS))
    assert summary.startswith("## Tested on digits")
    assert "## Tested on" not in _report(RUNS)


def test_what_comes_with_a_column_is_told_below_the_ranking() -> None:
    recipes = {"adam": "64", "sgd": "128"}
    runs = [
        make_run(model, 0, 0, 0.5, **{"optimizer.name": name, "batch_size": size})
        for model in "ab"
        for name, size in recipes.items()
    ]
    report = _report(runs)
    assert "`optimizer=sgd` comes with `batch_size=128`." in report
    assert "a optimizer=adam |" in report.split("## More measures")[0]


def test_the_header_names_seeds_and_repetitions() -> None:
    again = dataclasses.replace(RUNS[0], id="again")
    report = _report([*RUNS, again])
    assert "- seeds: 0, 1\n" in report
    assert "folds" not in report and "splits" not in report
    assert "1 run repeats the result of a later one" in report
    assert "repeat the result" not in _report(RUNS)


def test_folds_are_named_wherever_replicates_are() -> None:
    pool = {"data.digest": "0123", "data.folds": "3"}
    runs = [
        make_run(model, 0, 0, 0.5 + fold / 10, **pool, **{"data.fold": str(fold)})
        for model in "ab"
        for fold in range(3)
    ]
    tagged = [
        dataclasses.replace(r, tags={"transfer.configuration": r.params["model.name"]})
        for r in runs
    ]
    report = _report(tagged)
    assert report.startswith("# Comparison: 2 configurations, 6 runs")
    assert "| folds |" in " ".join(report.split()) and "common folds" in report
    assert "- folds (`data.fold`): 0, 1, 2\n" in report and "- seeds: 0\n" in report
    of_images = "each other row's best of those that were tested on the same images is compared"
    flat = " ".join(report.split())
    assert (of_images in flat) and of_images not in " ".join(_report(RUNS).split())
    assert "points over 3 folds." in report and "repeat the result" not in report


@pytest.mark.parametrize("select_by", ["acc", "balanced_acc", "loss"])
def test_by_which_measure_it_compares_is_told_where_it_is_another(select_by: str) -> None:
    runs = [make_run(model, 0, 0, 0.5, select_by=select_by) for model in "ab"]
    for number, run in enumerate(runs):
        for name, value in (("balanced_acc", 0.6), ("loss", 0.3)):
            better = value + (0.1 * number if name == "loss" else -0.1 * number)
            run.metrics.update({f"test/{name}": better, f"best/val_{name}": better})
    for language in LANGUAGES:
        document = build_document(_parts(runs), Selection(runs, []), Words(language))
        assert ("`select_by`" in to_markdown(document)) == (select_by != "acc")
    text = _report(runs)
    assert ("balanced test acc" in text) == (select_by == "balanced_acc")
    assert ("of loss" in text) == (select_by == "loss")
