"""The tutorial's three observations about transfer, put to the runs of a report.

1. A few epochs after the unfreeze, the network is already where a plain CNN ends.
2. Training accuracy can lie below validation accuracy, because only training images are augmented.
3. The pretrained network ends above the same network without pretraining.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from transfer.report.columns import percent
from transfer.report.document import Block, Bullets, Table
from transfer.report.language import Words
from transfer.report.table import Row


def observations(rows: Sequence[Row], words: Words) -> list[Block]:
    """A table with a row a configuration and what it means; curves are means over seeds."""
    reference = _plain_cnn(rows)
    cells = [
        [
            row.label,
            _passes(row, reference, words),
            _train_below_validation(row, words),
            _gain(row, rows),
        ]
        for row in rows
    ]
    headers = [words(f"column.{name}") for name in ("configuration", "passes", "below", "gain")]
    text = words("plain.missing")
    if reference is not None:
        epochs = len(_curve(reference, "val/acc"))
        text = words("plain.reference", accuracy=percent(_end(reference)), epochs=epochs)
    legend = [words("legend.passes", reference=text), words("legend.below"), words("legend.gain")]
    return [Table(headers, cells, len(headers)), Bullets(legend)]


def _plain_cnn(rows: Sequence[Row]) -> Row | None:
    plain = [
        row
        for row in rows
        if row.runs[0].params["model.name"] == "simple_cnn" and len(_curve(row, "val/acc"))
    ]
    return max(plain, key=_end) if plain else None


def _passes(row: Row, reference: Row | None, words: Words) -> str:
    accuracy = _curve(row, "val/acc")
    if reference is None or row is reference or accuracy.empty:
        return "–"
    above = accuracy.index[accuracy > _end(reference)]
    if above.empty:
        return words("passes.never")
    epoch = int(above[0])
    if epoch <= row.freeze_epochs:
        return words("passes.frozen", epoch=epoch)
    return words("passes.after", epoch=epoch, after=epoch - row.freeze_epochs)


def _train_below_validation(row: Row, words: Words) -> str:
    train, validation = _curve(row, "train/acc"), _curve(row, "val/acc")
    if train.empty or validation.empty:
        return "–"
    return words("below.count", below=int((train < validation).sum()), epochs=len(train))


def _gain(row: Row, rows: Sequence[Row]) -> str:
    params = row.runs[0].params
    if params.get("weights", "none") == "none":
        return "–"
    baselines = [
        other
        for other in rows
        if other.runs[0].params.get("weights") == "none"
        and all(other.runs[0].params.get(key) == params.get(key) for key in _same(params))
    ]
    if not baselines:
        return "–"
    # The stronger the baseline, the more the gain is worth.
    best = max(baseline.accuracy.estimate for baseline in baselines)
    gain = 100 * (row.accuracy.estimate - best)
    return f"{gain:+.2f}".replace("-", "−") if math.isfinite(gain) else "–"


def _same(params: dict[str, str]) -> list[str]:
    protocol = [key for key in params if key.startswith("protocol.")]
    return ["model.name", "data.digest", "image_size", "data.train_per_class", *protocol]


def _curve(row: Row, name: str) -> pd.Series:
    return row.by_epoch(name).mean(axis=1)


def _end(row: Row) -> float:
    return float(_curve(row, "val/acc").iloc[-1])
