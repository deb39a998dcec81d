"""The report as one HTML page: figures inside, tables that sort, no request to any host."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from pathlib import Path

from transfer.report.document import (
    Block,
    Bullets,
    Code,
    Heading,
    Paragraph,
    Picture,
    Table,
)

# The browser itself is told to load nothing that is not in the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto;
  padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.scroll { overflow-x: auto; width: max-content; max-width: max(100%, calc(50vw + 36rem)); }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; text-align: left;
  white-space: nowrap; }
.number { text-align: right; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid #0072B2; }
th[aria-sort=ascending] button::after { content: " ▲"; }
th[aria-sort=descending] button::after { content: " ▼"; }
tbody tr:hover { background: #f4f7fa; }
img { max-width: 100%; height: auto; }
code, pre { font-size: 14px; background: #f4f4f4; } pre { padding: .8rem; overflow-x: auto; }
"""

# A click sorts by a column, the next one the other way round; cells without a number go last.
_SCRIPT = """
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, body = head.closest("table").tBodies[0];
    const up = head.getAttribute("aria-sort") === "descending";
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const units = { k: 1e3, M: 1e6, G: 1e9 };
    const key = (row) => {
      const text = row.cells[head.cellIndex].textContent.trim();
      if (!head.classList.contains("number")) return text;
      const found = text.match(/^[<+\\u2212-]?\\s*([\\d.]+(?:e-?\\d+)?)\\s*([kMG])?/);
      if (!found) return null;
      const sign = /^[\\u2212-]/.test(text) ? -1 : 1;
      return sign * parseFloat(found[1]) * (units[found[2]] || 1);
    };
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      const words = typeof a === "string";
      const order = words ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
      return up ? order : -order;
    });
    body.append(...rows.map(([, row]) => row));
  });
}
"""


def to_html(blocks: Sequence[Block], folder: Path, language: str) -> str:
    """The whole page.

    Args:
        blocks: the first is the title.
        folder: where the figures' paths start.
        language: as in HTML's lang attribute.
    """
    title = blocks[0].text if isinstance(blocks[0], Heading) else "report"
    body = "\n".join(_render(block, folder) for block in blocks)
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{body}\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _render(block: Block, folder: Path) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{_inline(text)}</h{level}>"
        case Paragraph(text):
            return f"<p>{_inline(text)}</p>"
        case Bullets(items):
            return "<ul>\n" + "\n".join(f"<li>{_inline(item)}</li>" for item in items) + "\n</ul>"
        case Code(text):
            return f"<pre>{html.escape(text)}</pre>"
        case Picture(title, path):
            encoded = base64.b64encode((folder / path).read_bytes()).decode()
            return f'<img alt="{html.escape(title)}" src="data:image/png;base64,{encoded}">'
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    def cell(tag: str, place: int, content: str) -> str:
        kind = ' class="number"' if place >= table.numbers_from else ""
        return f"<{tag}{kind}>{content}</{tag}>"

    head = "".join(
        cell("th", place, f'<button type="button">{_inline(header)}</button>')
        for place, header in enumerate(table.headers)
    )
    lines = "\n".join(
        "<tr>"
        + "".join(cell("td", place, _inline(text)) for place, text in enumerate(line))
        + "</tr>"
        for line in table.cells
    )
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody>\n</table></div>"
    )


def _inline(text: str) -> str:
    """Escape, then give the two marks their tags."""
    text = html.escape(text)
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
