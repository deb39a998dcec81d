"""The tutorial's three observations about transfer, put to the runs of a report.

1. A few epochs after the unfreeze, the network is already where a plain CNN ends.
2. Training accuracy can lie below validation accuracy, because only training images are augmented.
3. The pretrained network ends above the same network without pretraining.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pandas as pd
from tabulate import tabulate

from transfer.report.columns import percent
from transfer.report.table import Row

_LEGEND = """\
- `passes the plain CNN`: the first epoch whose validation accuracy is above the one that
  `simple_cnn` ends at ({reference}), and how many epochs of full training that took.
- `train below val`: epochs in which training accuracy (augmented images, weights still moving)
  lies below validation accuracy (plain images).
- `gain over none`: test accuracy above that of the same network from random weights, in points."""


def observations(rows: Sequence[Row]) -> str:
    """A table with a row a configuration, as Markdown; curves and scores are means over seeds."""
    reference = _plain_cnn(rows)
    cells = [
        [row.label, _passes(row, reference), _train_below_validation(row), _gain(row, rows)]
        for row in rows
    ]
    headers = ["configuration", "passes the plain CNN", "train below val", "gain over none"]
    table = tabulate(cells, headers=headers, tablefmt="pipe", disable_numparse=True)
    text = "not among these runs"
    if reference is not None:
        text = f"{percent(_end(reference))} % after {len(_curve(reference, 'val/acc'))} epochs"
    return f"{table}\n\n{_LEGEND.format(reference=text)}"


def _plain_cnn(rows: Sequence[Row]) -> Row | None:
    plain = [row for row in rows if row.runs[0].params["model.name"] == "simple_cnn"]
    return max(plain, key=_end) if plain else None


def _passes(row: Row, reference: Row | None) -> str:
    if reference is None or row is reference:
        return "–"
    accuracy = _curve(row, "val/acc")
    above = accuracy.index[accuracy > _end(reference)]
    if above.empty:
        return "never"
    epoch = int(above[0])
    if epoch <= row.freeze_epochs:
        return f"epoch {epoch}, still frozen"
    return f"epoch {epoch}, {epoch - row.freeze_epochs} of full training"


def _train_below_validation(row: Row) -> str:
    train, validation = _curve(row, "train/acc"), _curve(row, "val/acc")
    return f"{int((train < validation).sum())} of {len(train)} epochs"


def _gain(row: Row, rows: Sequence[Row]) -> str:
    params = row.runs[0].params
    if params["weights"] == "none":
        return "–"
    baselines = [
        other
        for other in rows
        if other.runs[0].params["weights"] == "none"
        and all(other.runs[0].params.get(key) == params.get(key) for key in _same(params))
    ]
    if not baselines:
        return "–"
    # The stronger the baseline, the more the gain is worth.
    best = max(_test_accuracy(baseline) for baseline in baselines)
    return f"{100 * (_test_accuracy(row) - best):+.2f}"


def _same(params: dict[str, str]) -> list[str]:
    protocol = [key for key in params if key.startswith("protocol.")]
    return ["model.name", "data.digest", "image_size", "data.train_per_class", *protocol]


def _curve(row: Row, name: str) -> pd.Series:
    return row.by_epoch(name).mean(axis=1)


def _end(row: Row) -> float:
    return float(_curve(row, "val/acc").iloc[-1])


def _test_accuracy(row: Row) -> float:
    return statistics.fmean(row.metric("test/acc"))
