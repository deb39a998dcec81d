"""The report's sections, from rows to blocks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from transfer.compare.comparison import Comparison
from transfer.compare.keys import Keys, short, sort_keys
from transfer.compare.rows import Row
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
        rows: at least one, best first.
        comparison: of these rows.
        pictures: of these rows.
        words: in which it says it.
    """

    rows: Sequence[Row]
    comparison: Comparison
    pictures: Sequence[Picture]
    words: Words

    @cached_property
    def keys(self) -> Keys:
        """Which parameters distinguish the rows."""
        return sort_keys([row.runs[0] for row in self.rows])

    @cached_property
    def summary(self) -> list[Block]:
        """The findings and the ranking."""
        rows, comparison, words = self.rows, self.comparison, self.words
        return [
            Heading(words("section.findings")),
            Bullets(findings(rows, comparison, words)),
            Heading(words("section.ranking")),
            ranking_table(rows, comparison, words),
        ]


def build_document(parts: Sequence[Part], selection: Selection, words: Words) -> list[Block]:
    """The whole report."""
    configurations = sum(len(part.rows) for part in parts)
    title = words("title", rows=configurations, runs=len(selection.runs))
    blocks: list[Block] = [Heading(title, 1), Bullets(facts(selection, words))]
    if len(parts) > 1:
        blocks.append(Paragraph(words("parts", count=len(parts))))
    for part in parts:
        section = [*part.summary, *_ranking_legend(part), *_details(part)]
        blocks += section if len(parts) == 1 else _nested(part, section)
    unfinished = [run for run in selection.runs if not run.finished]
    if unfinished:
        blocks += [Heading(words("section.unfinished")), outcome_table(unfinished, words)]
    return blocks


def build_summary(parts: Sequence[Part]) -> list[Block]:
    """The findings and the ranking alone."""
    if len(parts) == 1:
        return parts[0].summary
    return [block for part in parts for block in _nested(part, part.summary)]


def _nested(part: Part, blocks: Sequence[Block]) -> list[Block]:
    """The same a level lower, below the name of the test set."""
    params, words = part.rows[0].params, part.words
    name, images = (params.get(key, words("unknown")) for key in ("data.name", "data.test_images"))
    digest = params.get("data.digest", words("unknown"))
    lower = [
        replace(block, level=block.level + 1) if isinstance(block, Heading) else block
        for block in blocks
    ]
    return [Heading(words("section.part", name=name, images=images, digest=digest)), *lower]


def _details(part: Part) -> list[Block]:
    rows, comparison, words = part.rows, part.comparison, part.words
    blocks: list[Block] = [Heading(words("section.cost")), cost_table(rows, words)]
    blocks += [Paragraph(words("legend.cost"))]
    if len(rows) > 1:
        blocks += [Heading(words("section.pairs")), pair_table(rows, comparison, words)]
        blocks += [Paragraph(words("legend.pairs"))]
        if len(rows) - 1 > MOST_PAIRS:
            blocks.append(Paragraph(words("legend.more", count=len(rows) - 1 - MOST_PAIRS)))
    for picture in part.pictures:
        blocks += [Heading(picture.title), picture]
    blocks += [Heading(words("section.transfer")), *observations(rows, comparison, words)]
    constant = part.keys.constant
    lines = "\n".join(f"{key}={value}" for key, value in constant.items())
    return [*blocks, Heading(words("section.constants")), Code(lines)]


def _ranking_legend(part: Part) -> list[Block]:
    rows, words = part.rows, part.words
    names = ["interval", "test/ece", "worst_class", "train/acc", "gap", "batch_loss_std"]
    items = [*legend_of_accuracy(rows, words), *(words(f"legend.{name}") for name in names)]
    blocks: list[Block] = [
        Paragraph(words("legend.ranking", pairs=part.comparison.tested)),
        Bullets([*_following(part), *items]),
    ]
    if len(rows) > MOST_ROWS:
        blocks.append(Paragraph(words("legend.more", count=len(rows) - MOST_ROWS)))
    return blocks


def _following(part: Part) -> list[str]:
    """What the value of a column stands for, where other choices always come with it."""
    words, sentences = part.words, []
    for leader, names in part.keys.following.items():
        examples = {row.params.get(leader): row.params for row in part.rows}
        if len(examples) > _MOST_VALUES:
            listed = ", ".join(f"`{short(name)}`" for name in names)
            sentences.append(words("legend.follow", leader=short(leader), names=listed))
            continue
        for value, params in examples.items():
            brought = [f"`{short(name)}={params[name]}`" for name in names if name in params]
            if brought:
                text = ", ".join(brought)
                sentences.append(
                    words("legend.stands_for", leader=short(leader), value=value, names=text)
                )
    return sentences
