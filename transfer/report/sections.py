"""The report's sections, from rows to blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from transfer.compare.comparison import Comparison
from transfer.compare.keys import Keys, short, sort_keys
from transfer.compare.rows import Row
from transfer.report.columns import BALANCED, shown_scores
from transfer.report.document import Block, Bullets, Code, Heading, Paragraph, Picture
from transfer.report.facts import facts, legend_of_accuracy
from transfer.report.findings import findings
from transfer.report.language import Words
from transfer.report.observations import observations
from transfer.report.tables import (
    MOST_PAIRS,
    MOST_ROWS,
    cost_table,
    is_disturbed,
    outcome_table,
    pair_table,
    ranking_table,
)
from transfer.tracking.selection import Selection

# With more values than this, what comes with each value of a choice is no line of a legend.
_MOST_VALUES = 12


@dataclass(frozen=True)
class Part:
    """All that a report says of one test set: its comparison, of at least one configuration, and
    the figures of the same ones."""

    comparison: Comparison
    pictures: Sequence[Picture]


def build_document(parts: Sequence[Part], selection: Selection, words: Words) -> list[Block]:
    """The whole report."""
    configurations = sum(len(part.comparison.rows) for part in parts)
    title = words("title", rows=configurations, runs=len(selection.runs))
    blocks: list[Block] = [Heading(title, 1), Bullets(facts(selection, words))]
    if len(parts) > 1:
        blocks.append(Paragraph(words("parts", count=len(parts))))
    blocks += _joined(parts, words, _section)
    unfinished = [run for run in selection.runs if not run.finished]
    if unfinished:
        blocks += [Heading(words("section.unfinished")), outcome_table(unfinished, words)]
    return blocks


def build_summary(parts: Sequence[Part], words: Words) -> list[Block]:
    """The findings and the ranking alone."""
    return _joined(parts, words, _summary)


def _joined(
    parts: Sequence[Part], words: Words, section: Callable[[Part, Words], list[Block]]
) -> list[Block]:
    """The sections of the parts; of several, each a level lower, below the name of its test set."""
    if len(parts) == 1:
        return section(parts[0], words)
    joined: list[Block] = []
    for part in parts:
        params = part.comparison.rows[0].params
        name, images, digest = (
            params.get(f"data.{key}", words("unknown")) for key in ("name", "test_images", "digest")
        )
        joined.append(Heading(words("section.part", name=name, images=images, digest=digest)))
        joined += [
            replace(block, level=block.level + 1) if isinstance(block, Heading) else block
            for block in section(part, words)
        ]
    return joined


def _summary(part: Part, words: Words) -> list[Block]:
    return [
        Heading(words("section.findings")),
        Bullets(findings(part.comparison, words)),
        Heading(words("section.ranking")),
        ranking_table(part.comparison, words),
    ]


def _section(part: Part, words: Words) -> list[Block]:
    """All of a part: what the ranking has below it, the other tables and the figures."""
    comparison, rows = part.comparison, part.comparison.rows
    others = len(rows) - 1
    keys = sort_keys([row.runs[0] for row in rows])
    names = ["interval", "test/ece", "worst_class", "train/acc", "gap", "batch_loss_std"]
    legend = [*legend_of_accuracy(rows, words), *(words(f"legend.{name}") for name in names)]
    criterion = comparison.criterion
    ranking = words("legend.ranking", pairs=comparison.tested)
    if criterion.name != "acc":
        ranking += " " + words("legend.select_by", measure=words(f"measure.{criterion.name}"))
    if BALANCED in shown_scores(rows, criterion):
        legend.append(words("legend.test/balanced_acc"))
    blocks = [
        *_summary(part, words),
        Paragraph(ranking),
        Bullets([*_following(keys, rows, words), *legend]),
        *_more(len(rows) - MOST_ROWS, words),
        Heading(words("section.cost")),
        cost_table(comparison, words),
        Paragraph(words("legend.cost")),
    ]
    if is_disturbed(comparison):
        blocks.append(Paragraph(words("legend.other_jobs")))
    if others:
        blocks += [Heading(words("section.pairs")), pair_table(comparison, words)]
        if criterion.name == "balanced_acc":
            blocks.append(Paragraph(words("legend.random_signs")))
        blocks += [Paragraph(words("legend.pairs")), *_more(others - MOST_PAIRS, words)]
    for picture in part.pictures:
        blocks += [Heading(picture.title), picture]
    blocks += [Heading(words("section.transfer")), *observations(comparison, words)]
    constant = "\n".join(f"{key}={value}" for key, value in keys.constant.items())
    return [*blocks, Heading(words("section.constants")), Code(constant)]


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
            brought = [f"`{short(name)}={params[name]}`" for name in names if name in params]
            if brought:
                known = {"leader": short(leader), "value": value, "names": ", ".join(brought)}
                sentences.append(words("legend.stands_for", **known))
    return sentences
