"""The part of a report on what networks are exported to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.compare.runs import make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.report.document import to_markdown
from transfer.report.figures.forms import plot_forms
from transfer.report.figures.style import save_png
from transfer.report.language import LANGUAGES, Words
from transfer.report.phone import phone_blocks, reported_forms
from transfer.report.sections import Part, build_document
from transfer.tracking.forms import FormMeasures
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import Selection


def _run(model: str, accuracy: float, int8: float, latency: float, **more: float) -> RunRecord:
    run = make_run(model, 0, 0, accuracy)
    change, half = int8 - accuracy, 0.002
    interval = {"acc_change_low": change - half, "acc_change_high": change + half}
    times = {"latency_ms": latency, "latency_p90_ms": 2 * latency}
    forms = {
        "torch": FormMeasures(size_mb=4.0, acc=accuracy),
        "onnx_int8": FormMeasures(
            size_mb=1.0, acc=int8, acc_change=change, acc_change_p=0.3 if half > -change else 0.0,
            **interval, **times, **more,
        ),
    }  # fmt: skip
    logged = {
        f"export/{form}/{name}": value
        for form, measures in forms.items()
        for name, value in measures.known().items()
    }
    return replace(run, metrics=run.metrics | logged)


def _text(runs: list[RunRecord], language: str = "en") -> str:
    return to_markdown(phone_blocks(Comparison(make_rows(runs)), Words(language)))


def test_each_form_stands_below_its_network() -> None:
    text = _text([_run("a", 0.90, 0.899, 0.5), _run("b", 0.92, 0.85, 0.25, waited=0.3)])
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert cells[0][:4] == ["configuration", "form", "file (MB)", "test acc (%)"]
    assert "memory (MB)" not in cells[0] and "latency, batch 64 (ms)" not in cells[0]
    assert [line[:4] for line in cells[2:]] == [
        ["b", "torch", "4.0", "92.00"],
        ["b", "ONNX, int8", "1.0", "85.00"],
        ["a", "torch", "4.0", "90.00"],
        ["a", "ONNX, int8", "1.0", "89.90"],
    ]
    by_header = [dict(zip(cells[0], line, strict=True)) for line in cells[2:]]
    assert by_header[1]["change (points)"] == "−7.00 (−7.20 to −6.80)"
    verdicts = [line["against its network"] for line in by_header]
    assert verdicts == ["–", "worse", "–", "equivalent"]
    times = [line["latency (ms)"] for line in by_header]
    assert times == ["–", "0.25 (p90 0.50) ◆ †", "–", "0.50 (p90 1.00) ◆"]
    assert "† Something else computed" in text


def test_it_says_what_to_take_and_whether_the_order_changes() -> None:
    text = _text([_run("a", 0.90, 0.89, 0.5), _run("b", 0.92, 0.70, 0.25)])
    # What is twice as fast is too far behind.
    assert "the fastest is **`a` as ONNX, int8**: 89.00 %, 0.50 ms an image, 1.0 MB." in text
    assert "**int8 changes the order** of the networks by accuracy: `a`, `b`." in text
    text = _text([_run("a", 0.90, 0.89, 0.5), _run("b", 0.92, 0.91, 0.25)])
    assert "leaves the order of these 2 networks" in text and "fastest is **`b` as" in text


def test_the_front_is_drawn_of_what_was_timed(tmp_path: Path) -> None:
    words = Words("en")
    slow, fast = _run("a", 0.90, 0.89, 0.5), _run("b", 0.92, 0.91, 0.25)
    assert plot_forms(reported_forms(Comparison(make_rows([slow]))), words) is None
    slow = replace(slow, metrics=slow.metrics | {"export/torch/latency_ms": 2.0})
    figure = plot_forms(reported_forms(Comparison(make_rows([slow, fast]))), words)
    assert figure is not None
    save_png(figure, tmp_path / "forms.png")
    marks = {mark["label"]: mark["values"] for mark in figure.marks()}
    assert marks == {
        "a, torch": [["2.00", "90.00"]],
        "a, ONNX, int8": [["0.50", "89.00"]],
        "b, ONNX, int8": [["0.25", "91.00"]],
    }
    [axes] = figure.axes
    drawn = {
        tuple(line.get_xydata()[0]): line.get_markerfacecolor()  # type: ignore[index]
        for line in axes.lines
        if line.get_marker() in "ov" and len(line.get_xdata()) == 1  # type: ignore[arg-type]
    }
    assert [drawn[0.25, 91.0] != "white", drawn[0.5, 89.0], drawn[2.0, 90.0]] == [
        True, "white", "white",
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_has_it_only_where_something_was_exported(language: str) -> None:
    runs = [_run("a", 0.90, 0.89, 0.5)]
    words = Words(language)

    def report(runs: list[RunRecord]) -> str:
        part = Part(Comparison(make_rows(runs)), [])
        return to_markdown(build_document([part], Selection(runs, []), words))

    assert f"## {words('section.phone')}\n" in report(runs)
    assert words("section.phone") not in report([make_run("a", 0, 0, 0.9)])
