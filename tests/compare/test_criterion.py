"""Order, ranks and headline follow what the runs were selected by."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.compare.runs import make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.criterion import criterion_of
from transfer.compare.statistics import random_signs_p_values
from transfer.report.document import to_markdown
from transfer.report.findings import findings
from transfer.report.language import LANGUAGES, Words
from transfer.report.sections import Part, build_document
from transfer.tracking.artifacts import Predictions
from transfer.tracking.find import RunRecord
from transfer.tracking.selection import Selection


def _runs(select_by: str, seeds: int = 5) -> list[RunRecord]:
    """The model "a" is the best by accuracy, "b" by balanced accuracy, and "c" by the loss."""
    measures = {"a": (0.9, 0.6, 0.5), "b": (0.8, 0.8, 0.6), "c": (0.7, 0.7, 0.2)}
    runs = []
    for model, values in measures.items():
        for seed in range(seeds):
            run = make_run(model, 0, seed, values[0], select_by=select_by)
            for name, value in zip(("acc", "balanced_acc", "loss"), values, strict=True):
                noise = 0.001 * ((seed * len(model + name) + ord(model)) % 3)
                run.metrics.update({f"test/{name}": value + noise, f"best/val_{name}": value})
            runs.append(run)
    return runs


@pytest.mark.parametrize(
    ("select_by", "order", "headline"),
    [
        ("acc", ["a", "b", "c"], "% test accuracy"),
        ("balanced_acc", ["b", "c", "a"], "% balanced test accuracy"),
        ("loss", ["c", "a", "b"], "a test loss of 0.20"),
    ],
)
def test_order_ranks_and_headline_follow(select_by: str, order: list[str], headline: str) -> None:
    comparison = Comparison(make_rows(_runs(select_by)))
    assert [row.label for row in comparison.rows] == order
    assert comparison.ranks == [1, 2, 3]
    assert all(pair.lead > 0 for pair in comparison.against_best())
    text = "\n".join(findings(comparison, Words()))
    assert f"**Best by mean: `{order[0]}`**" in text and headline in text
    assert "chooses it as well, among 3" in text
    for language in LANGUAGES:
        words = Words(language)
        document = build_document([Part(comparison, [])], Selection(_runs(select_by), []), words)
        assert ("`select_by`" in to_markdown(document)) == (select_by != "acc")
    # What was selected by one thing and by another is compared by accuracy.
    others = [*_runs(select_by)[:5], *_runs("loss" if select_by == "acc" else "acc")[5:]]
    assert criterion_of(others).name == "acc"


def test_a_difference_of_losses_is_told_as_one() -> None:
    text = "\n".join(findings(Comparison(make_rows(_runs("loss"))), Words()))
    assert "The difference to it is −0.300 of loss (95 % interval −0.30" in text
    assert "Student's paired test" in text
    single = "\n".join(findings(Comparison(make_rows(_runs("loss", seeds=1))), Words()))
    assert "of loss, untested" in single


def _answers(rare: list[bool], common: list[bool]) -> Predictions:
    labels = np.repeat(np.array([0, 1], dtype=np.int16), [len(rare), len(common)])
    right = np.array([*rare, *common])
    predicted = np.where(right, labels, 1 - labels).astype(np.int16)
    confidence = np.full(len(labels), 0.75, dtype=np.float32)
    return Predictions(labels, predicted, confidence, ["rare", "common"])


def test_one_seed_is_tested_on_its_images_each_class_counting_alike() -> None:
    runs = _runs("balanced_acc", seeds=1)[:2]
    # "a" knows the common class, "b" the rare one and most of the common.
    answers = {
        runs[0].id: _answers([False] * 20, [True] * 80),
        runs[1].id: _answers([True] * 20, [True] * 50 + [False] * 30),
    }
    comparison = Comparison(make_rows(runs, predictions=answers))
    [pair] = comparison.against_best()
    assert comparison.rows[0].label == "b" and comparison.ranks == [1, 2]
    assert pair.test == "images"
    # 20 of 20 against none, and 30 of 80 the other way round.
    assert pair.lead == pytest.approx((1 - 30 / 80) / 2)
    error = np.sqrt(20 * (1 / 40) ** 2 + 30 * (1 / 160) ** 2)
    assert pair.p_value == pytest.approx(2 * stats.norm.sf(pair.lead / error), rel=1e-4)
    # By the number of right answers, "a" is ahead.
    assert pair.mcnemar == pytest.approx(stats.binomtest(20, 50).pvalue)
    text = to_markdown(build_document([Part(comparison, [])], Selection(runs, []), Words()))
    assert "random signs" in text and "balanced test acc" in text


def test_where_images_count_alike_it_is_mcnemars_test() -> None:
    first, second = np.array([30.0, 12.0, 0.0]), np.array([15.0, 12.0, 0.0])
    found = random_signs_p_values((first - second) / 100, (first + second) / 100**2)
    assert found[0] == pytest.approx(stats.chi2.sf((30 - 15) ** 2 / 45, 1))
    assert found[1:].tolist() == [1, 1]


def test_the_column_is_there_where_classes_are_uneven() -> None:
    def report(predictions: Predictions) -> str:
        runs = _runs("acc", seeds=1)[:1]
        rows = make_rows(runs, predictions={runs[0].id: predictions})
        parts = [Part(Comparison(rows), [])]
        return to_markdown(build_document(parts, Selection(runs, []), Words()))

    assert "balanced test acc" in report(_answers([True] * 20, [True] * 31))
    assert "balanced test acc" not in report(_answers([True] * 20, [True] * 30))
    assert "balanced test acc" not in report(make_predictions([True] * 10))
