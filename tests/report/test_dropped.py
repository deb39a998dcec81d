"""What a sweep in rungs dropped has a list of its own, with the stated risk."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from tests.compare.runs import make_history, make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.criterion import CRITERIA
from transfer.report.document import to_markdown
from transfer.report.dropped import (
    Race,
    budget_blocks,
    dropped_blocks,
    dropped_curves,
    dropped_line,
    dropped_table,
    is_dropped,
)
from transfer.report.figures.race import plot_race
from transfer.report.figures.style import save_png
from transfer.report.language import LANGUAGES, Words
from transfer.report.sections import Part, build_document
from transfer.system.markdown import literal
from transfer.tracking.dropped import Dropped
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import Selection
from transfer.tracking.sweep_run import (
    HOPELESS_TAG,
    NOT_REPEATED_TAG,
    UNTRAINED_TAG,
    budget_tags,
    tries_tags,
)

FINISHED = [make_run(name, 0, 0, accuracy) for name, accuracy in {"a": 0.9, "b": 0.8}.items()]


def _dropped(status: str = "KILLED") -> RunRecord:
    run = make_run("c", 0, 0, 0.0, status=status)
    tags = Dropped(1, "6.1 points", "a-freeze0-seed0", 0.2).tags
    return replace(run, metrics={}, tags=run.tags | tags)


def _comparison(runs: list[RunRecord]) -> Comparison:
    histories = {
        "a-0-0": make_history([0.1, 0.7], [0.5, 0.9]),
        "b-0-0": make_history([0.1, 0.7], [0.4, 0.8]),
        "d-0-0": make_history([0.1, 0.7], [0.1, 0.6]),
        "e-0-0": make_history([0.1], [0.1]),
    }
    answers = {run.id: make_predictions([True] * 9 + [False]) for run in runs}
    return Comparison(make_rows(runs, histories, answers))


def test_a_dropped_run_is_listed_apart_and_has_no_rank() -> None:
    assert is_dropped(_dropped())
    # Whoever went on with it, and finished, has dropped nothing.
    assert not is_dropped(_dropped("FINISHED"))
    assert str(Dropped.of(_dropped().tags)) == (
        "dropped at epoch 1, 6.1 points behind a-freeze0-seed0"
    )
    runs = [*FINISHED, _dropped()]
    comparison = _comparison(FINISHED)
    for language in LANGUAGES:
        words = Words(language)
        part, selection = Part(comparison, []), Selection(runs, [])
        text = to_markdown(build_document([part], selection, words))
        before, after = text.split(f"## {words('section.dropped')}\n")
        assert "\n| c " in after and "\n| c " not in before
        assert words("section.unfinished") not in text
        assert words("behind.points", value="6.1") in text


def test_a_forecast_and_what_was_never_begun_are_told() -> None:
    told = Dropped(5, "5.1 points", "a-freeze0-seed0", 0.5, "forecast", "61.2 %")
    assert str(told) == "dropped at epoch 5: leads to 61.2 %, 5.1 points below a-freeze0-seed0"
    assert Dropped.of(told.tags) == told
    by_loss = replace(told, behind="0.3 nats", leads_to="0.8 nats")
    assert str(by_loss).endswith("leads to 0.8 nats, 0.3 nats above a-freeze0-seed0")
    run = replace(_dropped(), tags=_dropped().tags | told.tags)
    sweep = replace(run, tags={NOT_REPEATED_TAG: "44", "transfer.sweep": "a/b"})
    for language in LANGUAGES:
        words, part = Words(language), Part(_comparison(FINISHED), [])
        document = build_document([part], Selection([*FINISHED, run], [sweep]), words)
        text = to_markdown(document)
        behind = words("behind.points", value="5.1")
        assert words("behind.forecast", behind=behind, value="61.2 %") in text
        assert words("dropped.not_repeated", count=44) in text
        assert words("dropped.forecast") in text and words("dropped.untested") in text
        why = words("dropped.why.forecast")
        assert words("dropped", count=1, all=3, why=why) in text
        assert words("dropped.text") not in text
        mixed = to_markdown(dropped_blocks([_dropped(), run], None, words, Race()))
        assert words("dropped.forecast") in mixed and words("dropped.text") in mixed


def test_what_led_and_had_no_time_is_not_said_to_have_been_behind() -> None:
    told = Dropped(2, "0 nats", "", -0.5, "time")
    assert str(told) == "dropped at epoch 2 for want of time, none was better"
    run = replace(_dropped(), tags=_dropped().tags | told.tags)
    for language in LANGUAGES:
        words = Words(language)
        why = words("dropped.why.time")
        line = to_markdown([dropped_line([run], 3, words)])
        assert line.strip() == words("dropped", count=1, all=3, why=why)
        both = words("comma").join([words("dropped.why.behind"), why])
        line = to_markdown([dropped_line([_dropped(), run], 3, words)])
        assert line.strip() == words("dropped", count=2, all=3, why=both)
        cells = to_markdown([dropped_table([run], [], words)]).splitlines()[-1].split("|")
        behind = words("behind.time", behind=words("behind.first"))
        assert [each.strip() for each in cells[-3:-1]] == [behind, "–"]


def test_the_risk_of_dropping_is_stated() -> None:
    words = Words()
    text = to_markdown(dropped_blocks([_dropped()], _comparison(FINISHED), words, Race()))
    assert "The chance that one of them would have been the best is" in text
    assert "by what the 2 configurations that finished with as many epochs" in text
    # What a sweep that chose has tried over other epochs tells nothing of these.
    other = make_run("d", 0, 0, 0.7)
    other = replace(other, params=other.params | {"epochs": "30"})
    beside = _comparison([*FINISHED, other])
    assert text == to_markdown(dropped_blocks([_dropped()], beside, words, Race()))
    alone = to_markdown(dropped_blocks([_dropped()], _comparison(FINISHED[:1]), words, Race()))
    assert words("forgone.unknown") in alone
    assert "chance" not in to_markdown(dropped_blocks([_dropped()], None, words, Race()))


def test_a_sweep_that_chose_says_why_it_tried_no_more() -> None:
    told = {"a tune=all, 8 epochs": "12 min", "": ""}
    for (following, takes), language in product(told.items(), LANGUAGES):
        words = Words(language)
        tags = budget_tags("30m", 0, 0, 0) | tries_tags(3, following, takes, "40m")
        tags |= {HOPELESS_TAG: "lenet none", UNTRAINED_TAG: "resnet18 starter, resnet50 none"}
        sweep = RunRecord("sweep", "sweep", "FINISHED", {}, {}, tags)
        blocks = budget_blocks(Selection(FINISHED, [sweep]), words)
        key = "budget.tries_short" if following else "budget.tries_enough"
        told_of = {"following": literal(following), "takes": takes, "budget": "40m"}
        expected = words(key, count="3", **told_of)
        assert expected in to_markdown(blocks)
        assert words("budget.seeds") not in to_markdown(blocks)
        for tag, key in ((HOPELESS_TAG, "choice.hopeless"), (UNTRAINED_TAG, "choice.untrained")):
            assert words(key, names=literal(tags[tag])) in to_markdown(blocks)


def test_what_is_left_is_named_by_what_tells_it_from_what_was_dropped(tmp_path: Path) -> None:
    """A figure has the curves of both, and the rungs."""
    words = Words()
    run = _dropped()
    run = replace(run, params=run.params | {"optimizer.lr": "0.1"})
    curves = {run.id: np.array([0.1, 0.3, 0.2])}
    [(label, curve)] = dropped_curves([run], curves, CRITERIA["acc"], ["model", "optimizer.lr"])
    assert label == "c optimizer.lr=0.1"
    assert curve.tolist() == [0.1, 0.3, 0.3]
    # Who was tried after the race over fewer epochs did not go on at the rung.
    shorter = make_run("e", 0, 0, 0.7)
    rows = _comparison([*FINISHED, shorter]).rows
    figure = plot_race(rows, [(label, curve[:1])], words)
    assert figure is not None
    save_png(figure, tmp_path / "race.png")
    assert {mark["label"] for mark in figure.marks()} == {"a", "b", "e", label}
    [axes] = figure.axes
    assert [text.get_text() for text in axes.texts] == [words("plot.go_on", count=2)]
    assert plot_race([], [(label, curve)], words) is None
    assert plot_race(_comparison(FINISHED).rows, [], words) is None
