"""What a search has tried: how its best came about, and which choices mattered."""

from collections import Counter
from pathlib import Path

from transfer.compare.keys import short
from transfer.report.document import Block, Heading, Paragraph, Picture, Table
from transfer.report.figures.search import plot_search
from transfer.report.figures.style import save_png
from transfer.report.language import Words
from transfer.system.markdown import literal
from transfer.tracking.searches import SearchRecord

# The name of its figure.
SEARCH_FIGURE = "search"


def search_blocks(
    record: SearchRecord, folder: Path, words: Words, prefix: str = ""
) -> list[Block]:
    """The section of one search; draws its figure.

    Args:
        folder: of the report.
        prefix: of the figure's name.
    """
    trials = record.trials
    states = Counter(each.state for each in trials)
    counts = {name: states[name] for name in ("finished", "pruned", "failed", "running")}
    text = words(
        "search.text", count=len(trials), sampler=record.sampler, pruner=record.pruner, **counts
    )
    finished = [each for each in trials if each.state == "finished" and each.score is not None]
    if finished:
        # Of equals the first.
        best = max(finished, key=lambda each: each.score or 0.0)
        since = sum(each.number > best.number for each in trials)
        key = "search.best" if since else "search.best_last"
        text += words(key, number=best.number, chosen=" ".join(best.chosen), since=since)
        # Of these any may be the one that the comparison names.
        own = [each for each in finished if each.repeats is None]
        if equals := sum(each.score == best.score for each in own if each is not best):
            text += words("search.equals", count=equals)
    blocks: list[Block] = [Heading(words("section.search")), Paragraph(text)]
    figure = plot_search(record, words)
    if figure is not None:
        path = f"figures/{prefix}{SEARCH_FIGURE}.png"
        save_png(figure, folder / path)
        title = words("figure.search")
        blocks.append(Picture(title, path, figure.marks(), words("figure.search.text")))
    if record.importances:
        cells = [
            [literal(short(key)), f"{100 * share:.0f}"] for key, share in record.importances.items()
        ]
        headers = [words("column.chosen_key"), words("column.importance")]
        blocks += [Table(headers, cells, 1), Paragraph(words("search.importance"))]
    return blocks
