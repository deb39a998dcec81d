"""Small learners on small data, retrained on every split, for the proof of verdicts."""

from __future__ import annotations

import numpy as np

from transfer.compare.rows import Row, build_rows
from transfer.tracking.artifacts import NO_HISTORY, Predictions
from transfer.tracking.run_record import RunRecord

# Five folds of all images, or two, five drawn test sets of a fifth, and five drawn validation sets
# of a tenth with one test set that stays.
LAYOUTS = ("folds", "two folds", "drawn test sets", "one test set")
_IMAGES, _CLASSES, _FEATURES, _TEST, _REPEATS = 300, 3, 10, 60, 5


def learned_sweep(layout: str, random: np.random.Generator) -> list[Row]:
    """Rows of two learners: nearest class means, each by other features of the same kind, so that
    neither is the better one on other data."""
    labels = np.arange(_IMAGES) % _CLASSES
    centres = np.zeros((_CLASSES, _FEATURES))
    centres[:, :_CLASSES] = 1.3 * np.eye(_CLASSES)
    images = random.normal(size=(_IMAGES, 2, _FEATURES)) + centres[labels][:, None]
    order = random.permutation(_IMAGES)
    runs, answers = [], {}
    repeats = 2 if layout == "two folds" else _REPEATS
    for repeat in range(repeats):
        if "folds" in layout:
            test = order[repeat::repeats]
        elif layout == "one test set":
            test = order[:_TEST]
        else:
            test = random.permutation(_IMAGES)[:_TEST]
        rest = random.permutation(np.setdiff1d(np.arange(_IMAGES), test))
        train = rest[len(rest) // 10 :]
        for learner in range(2):
            run = _run(layout, learner, repeat, trained=len(train), tested=len(test))
            right = _predict(images[:, learner], labels, train, test)
            run.metrics["test/acc"] = float(np.mean(right == labels[test]))
            runs.append(run)
            answers[run.id] = Predictions(
                labels[test].astype(np.int16),
                right.astype(np.int16),
                np.full(len(test), 0.75, dtype=np.float32),
                ["a", "b", "c"],
            )
    return build_rows(runs, lambda run: NO_HISTORY, lambda run: answers[run.id])


def _predict(
    images: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    means = [images[train][labels[train] == label].mean(axis=0) for label in range(_CLASSES)]
    distances = ((images[test][:, None] - np.array(means)) ** 2).sum(axis=2)
    return np.asarray(distances.argmin(axis=1))


def _run(layout: str, learner: int, repeat: int, *, trained: int, tested: int) -> RunRecord:
    params = {
        "model.name": f"learner{learner}",
        "seed": "0",
        "data.digest": "pool",
        "data.pool_digest": "null" if layout == "one test set" else "pool",
        "data.test_digest": "one" if layout == "one test set" else f"{repeat}",
        "data.validation_fraction": "0.1",
        "data.test_fraction": "0.2",
        "data.test_images": f"{tested}",
        "data.train_images": f"{trained}",
        "data.seed": "0" if "folds" in layout else f"{repeat}",
        "data.fold": f"{repeat}" if "folds" in layout else "null",
        "data.folds": "2" if layout == "two folds" else "5",
    }
    name = f"{learner}-{repeat}"
    tags = {"transfer.configuration": name}
    return RunRecord(name, name, "FINISHED", params, {"best/val_acc": 0.5}, tags)
