"""The report as Markdown that also reads well as plain text."""

from collections.abc import Sequence

from tabulate import tabulate

from transfer.report.document import Block, Bullets, Code, Heading, Paragraph, Picture, Table


def to_markdown(blocks: Sequence[Block]) -> str:
    return "\n\n".join(_render(block) for block in blocks) + "\n"


def _render(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Bullets(items):
            return "\n".join(f"- {item}" for item in items)
        case Code(text):
            return f"```text\n{text}\n```"
        case Picture(title, path):
            return f"![{title}]({path})"
        case Table(headers, cells, numbers_from):
            alignment = ["left" if i < numbers_from else "right" for i in range(len(headers))]
            # A line break would end the table's line.
            escaped = [
                [" ".join(cell.split("\n")).replace("|", "\\|") for cell in line] for line in cells
            ]
            return tabulate(
                escaped,
                headers=list(headers),
                tablefmt="pipe",
                colalign=alignment if cells else None,
                disable_numparse=True,
            )
