"""The HTML page asks no host for anything and hides nothing in its text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from PIL import Image

from tests.conftest import ROOT
from transfer.report.document import (
    Box,
    Bullets,
    Code,
    Heading,
    Paragraph,
    Picture,
    Table,
    to_html,
    to_markdown,
)

BLOCKS = [
    Heading("Two & <script>", 1),
    Paragraph("**bold** and `a<b`"),
    Box(["take `b`", "**sure**"]),
    Bullets(["one", "two"]),
    Table(["name", "value"], [["<img src=x>", "**1.5 k** ◆"], ["a|b", "–"]], 1),
    Code("key=<value>"),
    Picture('A "figure"', "figures/one.png"),
]


def _page(folder: Path) -> str:
    (folder / "figures").mkdir()
    Image.new("RGB", (2, 2)).save(folder / "figures" / "one.png")
    return to_html(BLOCKS, folder, "en")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_text_is_escaped_and_its_two_marks_are_tags(tmp_path: Path) -> None:
    page = _page(tmp_path)
    assert "<h1>Two &amp; &lt;script&gt;</h1>" in page
    assert "<strong>bold</strong> and <code>a&lt;b</code>" in page
    assert "&lt;img src=x&gt;" in page and "<pre>key=&lt;value&gt;</pre>" in page
    assert (
        '<div class="box">\n<p>take <code>b</code></p>\n<p><strong>sure</strong></p>\n</div>'
        in page
    )
    assert '<td class="number"><strong>1.5 k</strong> ◆</td>' in page
    assert 'alt="A &#34;figure&#34;"' in page


def test_a_column_of_words_is_set_to_the_left() -> None:
    table = Table(["name", "value", "verdict"], [["a", "1", "worse"]], 1, words={2})
    assert [table.is_number(index) for index in range(3)] == [False, True, False]
    assert ":|-" not in to_markdown([table]) and "|--" not in to_markdown([table]).split(":|")[1]


def test_the_style_sheet_and_the_script_are_in_the_page(tmp_path: Path) -> None:
    page = _page(tmp_path)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    style, script = re.search(r"<style>(.*?)</style>.*<script>(.*?)</script>", page, re.S).groups()  # type: ignore[union-attr]
    templates = ROOT / "transfer/report/templates"
    assert style.strip() == (templates / "report.css").read_text().strip()
    assert script.strip() == (templates / "report.js").read_text().strip()


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    tags = _Tags()
    tags.feed(_page(tmp_path))
    addresses = [
        value for _, attrs in tags.found for key in ("src", "href") if (value := attrs.get(key))
    ]
    assert len(addresses) == 1
    assert addresses[0].startswith("data:image/png;base64,")
    assert not re.search(r"url\(|@import|fetch\(|https?://", _strip_data(tmp_path))
    [policy] = [attrs["content"] for tag, attrs in tags.found if "http-equiv" in attrs]
    assert policy is not None and policy.startswith("default-src 'none'")


def _strip_data(folder: Path) -> str:
    return re.sub(r"data:image/png;base64,[\w+/=]+", "", to_html(BLOCKS, folder, "en"))


def test_markdown_has_the_same_blocks() -> None:
    text = to_markdown(BLOCKS)
    start = (
        "# Two & \\<script>\n\n**bold** and `a<b`\n\n> - take `b`\n> - **sure**\n\n- one\n- two\n"
    )
    assert text.startswith(start)
    assert "a\\|b" in text
    assert "```text\nkey=<value>\n```" in text
    assert text.endswith('![A "figure"](figures/one.png)\n')


def test_what_names_hold_stays_text_in_markdown() -> None:
    name = "a|b`c*d* _e_ <img src=x>\n# ![x](http://y) &lt; a_b < 1 **"
    shown = r"\*d\* \_e\_ \<img src=x> # !\[x\](http://y) \&lt; a_b < 1 **"
    text = to_markdown([Paragraph(name), Bullets([name]), Box([name]), Table([name], [[name]], 1)])
    assert text.startswith(f"a|b\\`c{shown}\n\n- a|b\\`c{shown}\n\n> - a|b\\`c{shown}\n\n| a\\|b")
    assert len(text.splitlines()) == 9 and text.count(shown) == 5
    # As three backticks in a row and one they would be no code, and the picture a picture.
    assert to_markdown([Paragraph("```<img>`")]) == "\\`\\``<img>`\n"
    assert to_markdown([Code("a\n```\n<img>")]) == "````text\na\n```\n<img>\n````\n"


def test_what_a_table_sorts_by_is_read_from_every_number_that_it_may_hold() -> None:
    script = (ROOT / "transfer/report/templates/report.js").read_text()
    [pattern] = re.findall(r"text\.match\(/(.*)/\)", script)
    texts = {"> 99": "99", "< 1": "1", "< 0.001": "0.001", "+1.50": "1.50", "\u22120.20": "0.20"}
    for text, number in texts.items():
        found = re.match(pattern, text)
        assert found is not None and found[1] == number, text
    assert re.match(pattern, "–") is None
