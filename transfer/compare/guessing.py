"""Whether a configuration is any better than guessing, and if not, where that comes from."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

import numpy as np

from transfer.compare.rows import Row

# What a network that learned anything has of what guessing leaves over.
_SKILL = 0.1
# Standard errors of the test images by which guessing may look better than it is.
_ERRORS = 3
# A training loss that has lost less than this share of itself has not fallen.
_FALLEN = 0.03

# What is wrong with a row at chance: it answers otherwise in evaluation than in training; nothing
# but its head was trained, on random features; it had one epoch only; its loss does not fall, or
# does so too slowly; it knows validation images but no test images; it knows its training images
# alone; or nobody knows.
Fault = Literal["evaluation", "frozen", "short", "flat", "slow", "test", "memorised", "unknown"]


def chance_of(row: Row) -> float:
    """The accuracy, 0 to 1, of always answering the class that most test images have, of all folds
    one and the same; without predictions that of any class, and NaN where not even their number is
    known."""
    if row.answers:
        labels = np.concatenate([each.labels for each in row.answers])
        return float(np.bincount(labels).max() / len(labels))
    classes = _number(row, "data.classes")
    return 1 / classes if classes > 0 else math.nan


def is_guessing(row: Row) -> bool:
    """Whether its test accuracy is that of guessing, as far as the test images tell, and its mean
    over classes, each of which counts alike, too."""
    accuracy, chance = row.accuracy.estimate, chance_of(row)
    images = _number(row, "data.test_images")
    if row.answers:
        images = len(row.answers[0].labels)
    if not _at(accuracy, chance, math.sqrt(chance * (1 - chance) / images) if images else 0.0):
        return False
    if not row.answers:
        return True
    sizes = np.bincount(row.answers[0].labels)
    sizes = sizes[sizes > 0]
    even = 1 / len(sizes)
    error = even * math.sqrt(even * (1 - even) * float(np.sum(1 / sizes)))
    balanced = statistics.fmean(float(np.nanmean(each.class_accuracy)) for each in row.answers)
    return _at(balanced, even, error)


def fault_of(row: Row) -> Fault:
    """What is wrong with a row that is guessing, by its curves."""
    chance = chance_of(row)
    train, seen, validation = (
        known_mean(values)
        for values in (
            row.final("train/acc"),
            row.metric("best/train_acc"),
            row.metric("best/val_acc"),
        )
    )
    if math.isnan(train):
        return "unknown"
    if _knows(train, chance):
        # Runs of before it was measured do not say what they knew in evaluation.
        if not math.isnan(seen) and not _knows(seen, chance):
            return "evaluation"
    elif math.isnan(seen) or not _knows(seen, chance):
        if row.params.get("weights") == "none" and row.freeze_epochs >= _number(row, "epochs"):
            return "frozen"
        loss = row.curve("train/loss")
        if len(loss) == 1:
            return "short"
        return "flat" if len(loss) < 2 or loss.iloc[-1] > (1 - _FALLEN) * loss.iloc[0] else "slow"
    return "test" if _knows(validation, chance) else "memorised"


def known_mean(values: Sequence[float]) -> float:
    """The mean of those that are known; NaN without any."""
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _at(value: float, chance: float, error: float) -> bool:
    return value < chance + _ERRORS * error and not _knows(value, chance)


def _knows(value: float, chance: float) -> bool:
    return value >= chance + _SKILL * (1 - chance)


def _number(row: Row, name: str) -> float:
    try:
        return float(row.params.get(name, "0"))
    except ValueError:
        return 0.0
