"""What was dropped on the way: a list, and what that may have cost."""

from collections.abc import Sequence

import numpy as np

from transfer.compare.comparison import Comparison
from transfer.compare.forgone import Forgone, estimate_forgone
from transfer.compare.statistics import Floats
from transfer.report.document import Block, Heading, Paragraph, Table
from transfer.report.language import Words
from transfer.report.verdicts import chance
from transfer.system.markdown import literal
from transfer.tracking.dropped import Dropped
from transfer.tracking.find import RunRecord


def is_dropped(run: RunRecord) -> bool:
    """Whether a sweep in rungs has dropped a run."""
    return not run.finished and Dropped.of(run.tags) is not None


def dropped_blocks(
    runs: Sequence[RunRecord], comparison: Comparison | None, words: Words
) -> list[Block]:
    """The list of these runs, and the risk that one of them would have been the best.

    Args:
        comparison: of those that finished, if all were tested on the same images.
    """
    blocks: list[Block] = [Heading(words("section.dropped")), dropped_table(runs, words)]
    blocks.append(Paragraph(words("dropped.text")))
    if comparison is not None:
        found = _forgone(runs, comparison)
        if found is None:
            return [*blocks, Paragraph(words("forgone.unknown"))]
        loss = comparison.criterion.sign < 0
        value = f"{found.loss:.3f}" if loss else f"{100 * found.loss:.2f}"
        told = {
            "chance": chance(found.probability),
            "loss": words("behind.nats" if loss else "behind.points", value=value),
            "count": found.finished,
        }
        blocks.append(Paragraph(words("forgone", **told)))
    return blocks


def dropped_table(runs: Sequence[RunRecord], words: Words) -> Table:
    """When each run was dropped, and how far behind which other."""
    cells = []
    for run in runs:
        if own := Dropped.of(run.tags):
            value, _, unit = own.behind.partition(" ")
            behind = words(f"behind.{unit}", value=value)
            asked = run.tags.get("transfer.overrides", "–")
            name, asked, best = map(literal, (run.name, asked, own.best))
            cells.append([name, asked, str(own.epoch), behind, best])
    names = ["run", "overrides", "dropped_epoch", "dropped_behind", "dropped_best"]
    return Table([words(f"column.{name}") for name in names], cells, len(names))


def _forgone(runs: Sequence[RunRecord], comparison: Comparison) -> Forgone | None:
    criterion = comparison.criterion
    curves: list[Floats] = []
    for row in comparison.rows:
        values = criterion.sign * row.by_epoch(f"val/{criterion.name}").to_numpy()
        if values.size:
            curves.append(np.maximum.accumulate(values).mean(axis=1))
    configurations: dict[str, list[Dropped]] = {}
    for run in runs:
        if own := Dropped.of(run.tags):
            configurations.setdefault(run.tags["transfer.configuration"], []).append(own)
    dropped = [
        (each[0].epoch, float(np.mean([own.score for own in each])))
        for each in configurations.values()
    ]
    return estimate_forgone(curves, dropped)
