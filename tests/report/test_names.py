"""Names are text, whatever signs they hold: of classes, models, files and folders."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.compare.runs import make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.report.document import Bullets, Paragraph, Table, to_html, to_markdown
from transfer.report.language import LANGUAGES, Words
from transfer.report.sections import Part, build_document
from transfer.system.markdown import literal
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import Selection

NAMES = ("$$", r"$\frac$", "<b>x", "a|b", "*x*", "**x**", "`x`", "``", "100 %", "{x}", "_x_", r"\x")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found, self.tags = list[str](), set[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found.append("\n" if tag in ("p", "li", "td") else "")

    def handle_data(self, data: str) -> None:
        self.found.append(data)


@pytest.mark.parametrize("name", NAMES)
def test_its_signs_are_no_marks_beside_marks(name: str, tmp_path: Path) -> None:
    told = f"**see** `{literal(name)}` and {literal(name)}"
    blocks = [Paragraph(told), Table(["name"], [[literal(name)]], 1)]
    page = _Text()
    page.feed(to_html(blocks, tmp_path, "en").partition("<body>")[2].partition("<script>")[0])
    assert f"see {name} and {name}\n" in "".join(page.found) + "\n"
    assert page.tags.isdisjoint({"b", "em"})
    line = to_markdown([Bullets([told])]).strip()
    fence = "`" if "`" not in name else "``" if name == "`x`" else "```"
    assert line.startswith(f"- **see** {fence}")
    _, code, rest = line.removeprefix("- **see** ").split(fence, 2) if name else ("", "", "")
    assert code.strip() == name
    bare = rest.removeprefix(" and ")
    # Each sign that would be a mark is escaped, and nothing else has changed.
    assert bare.replace("\\", "") == name.replace("\\", "")
    assert all(f"\\{sign}" in bare for sign in "$*`" if sign in name)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_report_shows_them_as_they_are(name: str, language: str, tmp_path: Path) -> None:
    runs = [make_run("b", 0, 0, 0.9, weights=name), make_run("b", 0, 0, 0.6, weights="none")]
    labels = make_predictions([True] * 90 + [False] * 10)
    uneven = replace(labels, labels=np.repeat([0, 1], [90, 10]).astype(np.int16))
    answers = {run.id: replace(uneven, names=[name, "dog"]) for run in runs}
    failed = replace(make_run("b", 0, 1, 0.0, "FAILED"), tags={"transfer.error": f"no {name} here"})
    sweep = RunRecord(
        "id", "sweep", "FAILED", {}, {},
        {"transfer.sweep": f"day/{name}", "transfer.command": f"train.py weights={name}"},
    )  # fmt: skip
    comparison = Comparison(make_rows(runs, predictions=answers))
    selection = Selection([*runs, failed], [sweep])
    blocks = build_document([Part(comparison, [])], selection, Words(language))
    page = _Text()
    page.feed(to_html(blocks, tmp_path, language).partition("<body>")[2].partition("<script>")[0])
    text = "".join(page.found)
    label = f"weights={name}"
    # The box, the tables, the findings and the command.
    assert text.count(label) >= 6
    assert f"no {name} here" in text and f"day/{name}" in text
    assert page.tags.isdisjoint({"b", "em"})
    assert not {"\ufdd0", "\ufdd1"} & {*text, *to_markdown(blocks)}
