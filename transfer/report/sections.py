"""The report's sections, from rows to blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from transfer.compare.comparison import Comparison
from transfer.compare.keys import Keys, short, sort_keys
from transfer.report.document import Block, Bullets, Code, Heading, Paragraph, Picture
from transfer.report.facts import facts, legend_of_accuracy
from transfer.report.findings import findings
from transfer.report.language import Words
from transfer.report.observations import observations
from transfer.report.tables import (
    MOST_PAIRS,
    MOST_ROWS,
    cost_table,
    outcome_table,
    pair_table,
    ranking_table,
)
from transfer.tracking.selection import Selection

# With more values than this, what comes with each value of a choice is no line of a legend.
_MOST_VALUES = 12


@dataclass(frozen=True)
class Part:
    """All that a report says of one test set.

    Attributes:
        comparison: of at least one configuration.
        pictures: of the same ones.
        words: in which it says it.
    """

    comparison: Comparison
    pictures: Sequence[Picture]
    words: Words

    @cached_property
    def summary(self) -> list[Block]:
        """The findings and the ranking."""
        return [
            Heading(self.words("section.findings")),
            Bullets(findings(self.comparison, self.words)),
            Heading(self.words("section.ranking")),
            ranking_table(self.comparison, self.words),
        ]


def build_document(parts: Sequence[Part], selection: Selection, words: Words) -> list[Block]:
    """The whole report."""
    configurations = sum(len(part.comparison.rows) for part in parts)
    title = words("title", rows=configurations, runs=len(selection.runs))
    blocks: list[Block] = [Heading(title, 1), Bullets(facts(selection, words))]
    if len(parts) > 1:
        blocks.append(Paragraph(words("parts", count=len(parts))))
    blocks += _joined(parts, [[*part.summary, *_details(part)] for part in parts])
    unfinished = [run for run in selection.runs if not run.finished]
    if unfinished:
        blocks += [Heading(words("section.unfinished")), outcome_table(unfinished, words)]
    return blocks


def build_summary(parts: Sequence[Part]) -> list[Block]:
    """The findings and the ranking alone."""
    return _joined(parts, [part.summary for part in parts])


def _joined(parts: Sequence[Part], contents: Sequence[list[Block]]) -> list[Block]:
    """The contents of the parts; of several, each a level lower, below the name of its test set."""
    if len(parts) == 1:
        return contents[0]
    joined: list[Block] = []
    for part, blocks in zip(parts, contents, strict=True):
        params, words = part.comparison.rows[0].params, part.words
        name, images, digest = (
            params.get(f"data.{key}", words("unknown")) for key in ("name", "test_images", "digest")
        )
        joined.append(Heading(words("section.part", name=name, images=images, digest=digest)))
        joined += [
            replace(block, level=block.level + 1) if isinstance(block, Heading) else block
            for block in blocks
        ]
    return joined


def _details(part: Part) -> list[Block]:
    """All below the ranking: its legend, the other tables and the figures."""
    comparison, words = part.comparison, part.words
    rows, others = comparison.rows, len(comparison.rows) - 1
    keys = sort_keys([row.runs[0] for row in rows])
    names = ["interval", "test/ece", "worst_class", "train/acc", "gap", "batch_loss_std"]
    legend = [*legend_of_accuracy(rows, words), *(words(f"legend.{name}") for name in names)]
    blocks: list[Block] = [
        Paragraph(words("legend.ranking", pairs=comparison.tested)),
        Bullets([*_following(keys, part), *legend]),
        *_more(len(rows) - MOST_ROWS, words),
        Heading(words("section.cost")),
        cost_table(comparison, words),
        Paragraph(words("legend.cost")),
    ]
    if others:
        blocks += [Heading(words("section.pairs")), pair_table(comparison, words)]
        blocks += [Paragraph(words("legend.pairs")), *_more(others - MOST_PAIRS, words)]
    for picture in part.pictures:
        blocks += [Heading(picture.title), picture]
    blocks += [Heading(words("section.transfer")), *observations(comparison, words)]
    constant = "\n".join(f"{key}={value}" for key, value in keys.constant.items())
    return [*blocks, Heading(words("section.constants")), Code(constant)]


def _more(count: int, words: Words) -> list[Block]:
    return [Paragraph(words("legend.more", count=count))] if count > 0 else []


def _following(keys: Keys, part: Part) -> list[str]:
    """What the value of a column stands for, where other choices always come with it."""
    words, sentences = part.words, []
    for leader, names in keys.following.items():
        examples = {row.params.get(leader): row.params for row in part.comparison.rows}
        if len(examples) > _MOST_VALUES:
            listed = ", ".join(f"`{short(name)}`" for name in names)
            sentences.append(words("legend.follow", leader=short(leader), names=listed))
            continue
        for value, params in examples.items():
            brought = [f"`{short(name)}={params[name]}`" for name in names if name in params]
            if brought:
                known = {"leader": short(leader), "value": value, "names": ", ".join(brought)}
                sentences.append(words("legend.stands_for", **known))
    return sentences
