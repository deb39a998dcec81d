"""The tutorial's three observations about transfer, put to the runs of a report.

1. A few epochs after the unfreeze, the network is already where a plain CNN ends.
2. Training accuracy can lie below validation accuracy, because only training images are augmented.
3. The pretrained network ends above the same network without pretraining.
"""

import math
from collections.abc import Sequence

import numpy as np

from transfer.compare.comparison import Comparison
from transfer.compare.keys import is_compared
from transfer.compare.rows import Row
from transfer.report.columns import percent, points
from transfer.report.document import Block, Bullets, Table
from transfer.report.language import Words
from transfer.report.tables import MOST_ROWS
from transfer.report.verdicts import told_of
from transfer.system.markdown import literal


def observations(comparison: Comparison, words: Words) -> list[Block]:
    """A table with a row a configuration and what it means; curves are means over
    replicates."""
    # Where nothing is sound, the curves can be looked at still.
    rows = comparison.rows or comparison.unsound
    reference = _plain_cnn(rows)
    cells = []
    for index, row in enumerate(rows[:MOST_ROWS]):
        below, epochs = row.below_validation
        cells.append(
            [
                literal(row.label),
                _passes(row, reference, words),
                words("below.count", below=below, epochs=epochs) if epochs else "–",
                _gain(index, comparison, words),
            ]
        )
    headers = [words(f"column.{name}") for name in ("configuration", "passes", "below", "gain")]
    text = words("plain.missing")
    if reference is not None:
        epochs, accuracy = len(reference.curve("val/acc")), percent(_end(reference))
        text = words("plain.reference", accuracy=accuracy, epochs=epochs)
    legend = [words("legend.passes", reference=text), words("legend.below"), words("legend.gain")]
    return [Table(headers, cells, len(headers)), Bullets(legend)]


def _plain_cnn(rows: Sequence[Row]) -> Row | None:
    plain = (row for row in rows if row.params["model.name"] == "simple_cnn")
    return max((row for row in plain if len(row.curve("val/acc"))), key=_end, default=None)


def _passes(row: Row, reference: Row | None, words: Words) -> str:
    accuracy = row.curve("val/acc")
    if reference is None or row is reference or accuracy.empty:
        return "–"
    above = accuracy.index[accuracy > _end(reference)]
    if above.empty:
        return words("passes.never")
    epoch = int(above[0])
    if epoch <= row.freeze_epochs:
        return words("passes.frozen", epoch=epoch)
    return words("passes.after", epoch=epoch, after=epoch - row.freeze_epochs)


def _gain(index: int, comparison: Comparison, words: Words) -> str:
    rows = comparison.rows or comparison.unsound
    row = rows[index]
    if row.params.get("weights", "none") == "none":
        return "–"
    recipe = _recipe(row)
    random = [i for i, each in enumerate(rows) if each.params.get("weights") == "none"]
    # The stronger the baseline, the more the gain is worth.
    alike = [i for i in random if _recipe(rows[i]) == recipe]
    best = max(alike, key=lambda i: np.nan_to_num(rows[i].accuracy.estimate), default=index)
    gain = row.accuracy.estimate - rows[best].accuracy.estimate
    if best == index or not math.isfinite(gain):
        return "–"
    if comparison.criterion.name != "acc" or not comparison.rows:
        # Verdicts are on another measure, or there is none.
        return points(gain)
    # A mean over replicates is no difference of two networks, which the verdict may be about.
    difference, verdict = told_of(comparison.pair(min(index, best), max(index, best)))
    if math.isfinite(difference.estimate):
        gain = difference.estimate if index < best else -difference.estimate
    if verdict.kind in ("better", "worse"):
        return points(gain)
    return words("gain.with_verdict", gain=points(gain), verdict=words(f"verdict.{verdict.kind}"))


def _recipe(row: Row) -> dict[str, str]:
    """All that was chosen but the weights and how long they were frozen: a frozen backbone of
    random weights is no rival."""
    chosen = filter(is_compared, row.params.keys() - {"weights", "freeze_epochs", "tune"})
    return {name: row.params[name] for name in chosen}


def _end(row: Row) -> float:
    return float(row.curve("val/acc").iloc[-1])
