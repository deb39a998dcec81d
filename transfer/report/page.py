"""The report as one HTML page: figures inside, tables that sort, no request to any host."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from transfer.report.document import Block, Picture


def to_html(blocks: Sequence[Block], folder: Path, language: str) -> str:
    """The whole page, from templates/.

    Args:
        blocks: the first is the title.
        folder: where the figures' paths start.
        language: as in HTML's lang attribute.
    """

    def encoded(picture: Picture) -> str:
        return base64.b64encode((folder / picture.path).read_bytes()).decode()

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters |= {"encoded": encoded, "marked": _marked}
    template = environment.get_template("report.html.j2")
    return template.render(blocks=blocks, language=language)


def _marked(text: str) -> Markup:
    """Escape, then give the two marks their tags."""
    escaped = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escaped))
