"""A sweep with a known answer, for the tests of what a report says of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.compare.runs import make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison

# Equal but for a few images.
CLOSE = {"b": 0.80, "c": 0.80}
APART = {"a": 0.82, "b": 0.90}


def compare(
    models: Mapping[str, float],
    seeds: int = 3,
    images: int = 400,
    validation: Mapping[str, float] | None = None,
) -> Comparison:
    """Models by how probably they answer a test image right, each trained by so many seeds; on
    validation images they do likewise, unless it is said."""
    random = np.random.default_rng(0)
    runs, answers = [], {}
    # How hard an image is counts for all of them.
    hard = random.random(images)
    for model, accuracy in models.items():
        for seed in range(seeds):
            correct = 0.7 * hard + 0.3 * random.random(images) < 0.15 + 0.7 * accuracy
            run = make_run(model, 0, seed, float(correct.mean()))
            run.metrics["best/val_acc"] = (validation or models)[model]
            runs.append(run)
            answers[run.id] = make_predictions(correct)
    return Comparison(make_rows(runs, predictions=answers))
