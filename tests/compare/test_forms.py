"""Exported forms against the networks that they come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.compare.runs import make_predictions, make_rows, make_run
from transfer.compare.criterion import CRITERIA
from transfer.compare.forms import accuracy_change, form_rows, form_verdicts
from transfer.compare.networks_to_use import networks_to_use
from transfer.tracking.forms import FormMeasures
from transfer.tracking.run_record import RunRecord


def _change(lost: int, won: int, images: int = 1000) -> FormMeasures:
    """A form that gets so many images wrong that its network got right, and the reverse."""
    parent, form = np.ones(images, bool), np.ones(images, bool)
    parent[:won], form[images - lost :] = False, False
    return FormMeasures(**accuracy_change(make_predictions(parent), make_predictions(form)))


def test_a_change_is_tested_image_by_image() -> None:
    found = _change(lost=12, won=3)
    assert found.acc == 0.988
    assert found.acc_change == pytest.approx(-0.009)
    # McNemar's exact test of 3 against 12, both sides.
    assert found.acc_change_p == pytest.approx(0.03516, abs=1e-5)
    assert found.acc_change_low < -0.009 < found.acc_change_high < 0


def test_the_same_answers_are_equivalent_and_no_certainty() -> None:
    same = _change(lost=0, won=0)
    assert (same.acc_change, same.acc_change_p) == (0, 1)
    assert same.acc_change_low < 0 < same.acc_change_high
    assert form_verdicts(["onnx"], [same], 0.01)[0].kind == "equivalent"
    few = _change(lost=0, won=0, images=20)
    assert form_verdicts(["onnx"], [few], 0.01)[0].kind == "undecided"


def test_only_what_is_quantised_is_corrected_for() -> None:
    forms, changes = ["onnx", "onnx_int8", "onnx_int8"], [_change(12, 3), _change(12, 3)]
    verdicts = form_verdicts(forms, [_change(0, 0), *changes], 0.01)
    assert [each.kind for each in verdicts] == ["equivalent", "undecided", "undecided"]
    assert verdicts[1].corrected == pytest.approx(2 * verdicts[1].p_value)
    [alone] = form_verdicts(["onnx_int8"], [changes[0]], 0.01)
    assert alone.kind == "worse"
    assert form_verdicts(["torch"], [FormMeasures(acc=0.9)], 0.01)[0].kind == "unknown"


def _exported(run: RunRecord, **forms: FormMeasures) -> RunRecord:
    logged = {
        f"export/{form}/{name}": value
        for form, measures in forms.items()
        for name, value in measures.known().items()
    }
    return replace(run, metrics=run.metrics | logged)


def test_forms_stand_below_the_network_that_was_exported() -> None:
    slow, quick = FormMeasures(acc=0.9, latency_ms=2.0), FormMeasures(acc=0.89, latency_ms=1.0)
    runs = [
        _exported(make_run("a", 0, 0, 0.8), onnx=FormMeasures(acc=0.8, latency_ms=1.5)),
        # The best of its row was not exported, the other was.
        make_run("b", 0, 0, 0.92),
        _exported(make_run("b", 0, 1, 0.9), onnx=slow, onnx_int8=quick),
        make_run("c", 0, 0, 0.7),
    ]
    found = form_rows(make_rows(runs), CRITERIA["acc"], 0.01)
    told = [(each.run.id, each.form, each.on_front) for each in found]
    assert told == [("b-0-1", "onnx", True), ("b-0-1", "onnx_int8", True), ("a-0-0", "onnx", False)]
    assert found[1].measures == quick


def test_networks_to_use() -> None:
    runs = [
        make_run("b", 0, 0, 0.85),
        make_run("b", 0, 1, 0.9),
        make_run("a", 0, 0, 0.6),
        make_run("c", 0, 0, 0.5),
        make_run("d", 0, 0, 0.95, status="FAILED"),
    ]
    chosen = {which: networks_to_use(runs, which) for which in ("best", "front", "all")}
    assert [run.id for run in chosen["best"]] == ["b-0-1"]
    # Of a, which has a fifth of the multiply-accumulates.
    assert [run.id for run in chosen["front"]] == ["b-0-1", "a-0-0"]
    assert [run.id for run in chosen["all"]] == ["b-0-1", "a-0-0", "c-0-0"]
    # The best on validation is to be taken, whatever the test images say.
    unlucky = make_run("e", 0, 0, 0.8)
    unlucky.metrics["best/val_acc"] = 0.95
    front = networks_to_use([*runs, unlucky], "front")
    assert [run.id for run in front] == ["e-0-0", "b-0-1", "a-0-0"]
    assert networks_to_use([], "all") == []
