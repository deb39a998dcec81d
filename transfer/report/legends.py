"""What stands below the tables: what their words and columns mean, each said once."""

from collections.abc import Sequence

from transfer.compare.comparison import Comparison
from transfer.compare.replicates import test_images_of
from transfer.compare.rows import Row
from transfer.report.columns import BALANCED, of_criterion, score_of, shown_scores, with_unit
from transfer.report.document import Block, Paragraph
from transfer.report.language import Words
from transfer.report.tables import MOST_ROWS, is_disturbed, is_otherwise
from transfer.report.verdicts import replicates_kind


def ranking_legend(comparison: Comparison, words: Words) -> list[str]:
    """What decides the order, and what the verdicts mean."""
    rows, criterion = comparison.rows, comparison.criterion
    test, validation = (column.metric for column in of_criterion(criterion))
    replicates = words(f"replicates.{replicates_kind(rows)}")
    results = {row.params.get("protocol.result", "best") for row in rows}
    known = {score_of(row, criterion).over for row in rows[:MOST_ROWS]} - {"nothing"}
    over = [words(f"over.{name}", replicates=replicates) for name in sorted(known)]
    sentences = [
        words(
            "legend.order",
            validation=words(f"column.{validation.name}"),
            tie_break=words(f"tie_break.{criterion.tie_break.name}"),
            test=words(f"column.{test.name}"),
            result=words(f"result.{results.pop()}" if len(results) == 1 else "result.mixed"),
        )
    ]
    if criterion.name != "acc":
        sentences.append(words("legend.select_by", measure=words(f"measure.{criterion.name}")))
    if over:
        scores = words("semicolon").join(over)
        sentences.append(words("legend.interval", test=words(f"column.{test.name}"), over=scores))
    if len(rows) == 1:
        return sentences
    limit = comparison.equivalent_within * (100 if criterion.sign > 0 else 1)
    within = with_unit(f"± {limit:g}", criterion, words)
    return [
        *sentences,
        words("legend.recipe", replicates=replicates),
        words("legend.network"),
        *([words("legend.network_images")] if _on_images_of_first(comparison) else []),
        words("legend.verdicts", within=within, replicates=replicates),
        words(f"legend.rank.{comparison.ranked_by}"),
    ]


def _on_images_of_first(comparison: Comparison) -> bool:
    """Whether a row's networks have test images of their own each, as those of folds."""
    return any(len({test_images_of(run) for run in row.runs}) > 1 for row in comparison.rows)


def pair_legend(comparison: Comparison, words: Words) -> list[Block]:
    """Which tests gave the verdicts."""
    network = words(f"legend.test_by.{comparison.criterion.name}")
    replicates = words(f"replicates.{replicates_kind(comparison.rows)}")
    return [Paragraph(words("legend.pairs", network=network, replicates=replicates))]


def measures_legend(rows: Sequence[Row], comparison: Comparison, words: Words) -> list[str]:
    """What the other measures are."""
    names = ["test/ece", "worst_class", "train/acc", "gap", "batch_loss_std"]
    if BALANCED in shown_scores(rows, comparison.criterion):
        names.insert(0, BALANCED.name)
    return [words(f"legend.{name}") for name in names]


def cost_legend(rows: Sequence[Row], words: Words) -> list[Block]:
    """What the costs are, and how they were measured."""
    legend: list[Block] = [Paragraph(words("legend.cost"))]
    if is_disturbed(rows):
        legend.append(Paragraph(words("legend.other_jobs")))
    if is_otherwise(rows):
        legend.append(Paragraph(words("legend.otherwise")))
    return legend
