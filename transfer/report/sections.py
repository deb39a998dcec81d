"""The report's sections, from rows to blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from transfer.compare.comparison import Comparison
from transfer.compare.keys import Keys, short, sort_keys
from transfer.compare.rows import Row
from transfer.compare.screened import Agreement
from transfer.report.document import Block, Bullets, Code, Gallery, Heading, Paragraph, Picture
from transfer.report.dropped import Race, budget_blocks, dropped_blocks, dropped_line, is_dropped
from transfer.report.facts import facts
from transfer.report.findings import findings
from transfer.report.front import front, nothing_finished
from transfer.report.language import Words
from transfer.report.legends import cost_legend, measures_legend, pair_legend, ranking_legend
from transfer.report.observations import observations
from transfer.report.phone import phone_blocks
from transfer.report.tables import (
    MOST_PAIRS,
    MOST_ROWS,
    cost_table,
    measures_table,
    outcome_table,
    pair_table,
    ranking_table,
    unsound_table,
)
from transfer.system.markdown import literal
from transfer.tracking.selection import Selection

# With more values than this, what comes with each value of a choice is no line of a legend.
_MOST_VALUES = 12


@dataclass(frozen=True)
class Part:
    """All that a report says of one test set: its comparison, of at least one configuration, the
    figures of the same ones, how well a screen before them agreed, if there was one, and a figure
    of what their networks were exported to, if they were."""

    comparison: Comparison
    pictures: Sequence[Picture | Gallery]
    screen: Agreement | None = None
    phone: Picture | None = None


def build_document(
    parts: Sequence[Part],
    selection: Selection,
    words: Words,
    race: Race | None = None,
    searches: Sequence[Block] = (),
) -> list[Block]:
    """The whole report: the answer, what it rests on, and last where all of it comes from.

    Args:
        race: what is known of what was dropped on the way, if anything was.
        searches: the sections of searches.
    """
    configurations = sum(len(_every(part.comparison)) for part in parts)
    title = words("title", rows=configurations, runs=len(selection.runs))
    blocks: list[Block] = [Heading(title, 1)]
    dropped = [run for run in selection.runs if is_dropped(run)]
    unfinished = [run for run in selection.runs if not (run.finished or is_dropped(run))]
    if unfinished:
        counts = {"count": len(unfinished), "all": len(selection.runs)}
        blocks.append(Paragraph(words("unfinished", **counts)))
    if dropped:
        blocks.append(dropped_line(dropped, len(selection.runs), words))
    blocks += budget_blocks(selection, words)
    if not parts:
        blocks.append(nothing_finished(words))
    if len(parts) > 1:
        blocks.append(Paragraph(words("parts", count=len(parts))))
    blocks += [*_joined(parts, words, _section), *searches]
    if dropped:
        comparison = parts[0].comparison if len(parts) == 1 else None
        blocks += dropped_blocks(dropped, comparison, words, race or Race())
    if unfinished:
        blocks += [Heading(words("section.unfinished")), outcome_table(unfinished, words)]
    return [*blocks, Heading(words("section.provenance")), Bullets(facts(selection, words))]


def build_summary(parts: Sequence[Part], words: Words) -> list[Block]:
    """The answer, the findings and the ranking alone."""
    return _joined(parts, words, _summary)


def _joined(
    parts: Sequence[Part], words: Words, section: Callable[[Part, Words], list[Block]]
) -> list[Block]:
    """The sections of the parts; of several, each a level lower, below the name of its test set."""
    if len(parts) == 1:
        return section(parts[0], words)
    joined: list[Block] = []
    for part in parts:
        params = _every(part.comparison)[0].params
        name, images, digest = (
            literal(params.get(f"data.{key}", words("unknown")))
            for key in ("name", "test_images", "digest")
        )
        joined.append(Heading(words("section.part", name=name, images=images, digest=digest)))
        joined += [
            replace(block, level=block.level + 1) if isinstance(block, Heading) else block
            for block in section(part, words)
        ]
    return joined


def _summary(part: Part, words: Words) -> list[Block]:
    comparison = part.comparison
    blocks = [front(comparison, words), *_findings(part, words)]
    if comparison.rows:
        blocks += [Heading(words("section.ranking")), ranking_table(comparison, words)]
    return blocks


def _section(part: Part, words: Words) -> list[Block]:
    """All of a part."""
    comparison = part.comparison
    # Where nothing is sound, there is nothing to choose, but still something to look at.
    rows = comparison.rows or comparison.unsound
    keys = sort_keys([row.runs[0] for row in _every(comparison)])
    more = _more(len(rows) - MOST_ROWS, words)
    blocks: list[Block] = [front(comparison, words)]
    if comparison.rows:
        blocks += [Heading(words("section.ranking")), ranking_table(comparison, words)]
        blocks += [Bullets(ranking_legend(comparison, words)), *more]
    if comparison.unsound:
        blocks += [Heading(words("section.unsound")), unsound_table(comparison, words)]
    if len(comparison.rows) > 1:
        blocks += [Heading(words("section.pairs")), pair_table(comparison, words)]
        blocks += pair_legend(comparison, words)
        blocks += _more(len(comparison.rows) - 1 - MOST_PAIRS, words)
    blocks += _findings(part, words)
    measures = [*measures_legend(rows, comparison, words), *_following(keys, rows, words)]
    blocks += [Heading(words("section.measures")), measures_table(comparison, rows, words)]
    blocks += [Bullets(measures), *more]
    blocks += [Heading(words("section.cost")), cost_table(rows, words), *cost_legend(rows, words)]
    blocks += phone_blocks(comparison, words, part.phone)
    for picture in part.pictures:
        blocks += [Heading(picture.title), picture]
    blocks += [Heading(words("section.transfer")), *observations(comparison, words)]
    constant = "\n".join(f"{key}={value}" for key, value in keys.constant.items())
    return [*blocks, Heading(words("section.constants")), Code(constant)]


def _every(comparison: Comparison) -> list[Row]:
    return [*comparison.rows, *comparison.unsound]


def _findings(part: Part, words: Words) -> list[Block]:
    found = findings(part.comparison, words, part.screen)
    return [Heading(words("section.findings")), Bullets(found)] if found else []


def _more(count: int, words: Words) -> list[Block]:
    return [Paragraph(words("legend.more", count=count))] if count > 0 else []


def _following(keys: Keys, rows: Sequence[Row], words: Words) -> list[str]:
    """What the value of a column stands for, where other choices always come with it."""
    sentences = []
    for leader, names in keys.following.items():
        examples = {row.params.get(leader): row.params for row in rows}
        if len(examples) > _MOST_VALUES:
            listed = ", ".join(f"`{short(name)}`" for name in names)
            sentences.append(words("legend.follow", leader=short(leader), names=listed))
            continue
        for value, params in examples.items():
            brought = [
                f"`{literal(f'{short(name)}={params[name]}')}`" for name in names if name in params
            ]
            if brought:
                known = {"leader": short(leader), "value": value, "names": ", ".join(brought)}
                sentences.append(words("legend.stands_for", **known))
    return sentences
