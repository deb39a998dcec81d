"""The recorded grid: every run of it as it stood at each rung, for replays of sweeps in rungs.

It was trained by a sweep in rungs that drops nothing, whose runs keep their validation answers at
each of them (docs/halving.md has the command). To record another one, in a project that has run it:

    python -m tests.proofs.recorded_grid sweep=latest keep=experiments/results/grid
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.arguments import STORE, option, run
from transfer.compare.statistics import Floats
from transfer.tracking.archive import keep_run
from transfer.tracking.artifacts import Predictions
from transfer.tracking.previous_run import folder_of
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import select
from transfer.tracking.standing import Standing, read_standing
from transfer.tracking.store import open_store, store_uri

GRID = Path(__file__).resolve().parents[2] / "experiments/results/grid"


@dataclass(frozen=True)
class GridRun:
    """A run of the grid.

    Attributes:
        scores: its validation accuracy, a value an epoch.
        curve: the best of them so far.
        test: its test accuracy.
        standings: how it stood, by the epoch of each rung.
    """

    record: RunRecord
    scores: Floats
    curve: Floats
    test: float
    standings: dict[int, Standing]

    def standing_at(self, epoch: int) -> Standing:
        """How it stood after an epoch; between two rungs with the answers of the one before, which
        a rule that looks at curves alone does not ask for."""
        before = max(each for each in self.standings if each <= epoch)
        curve = self.scores[:epoch]
        return replace(self.standings[before], score=float(curve.max()), curve=curve)


def read_grid(folder: Path = GRID) -> list[list[GridRun]]:
    """The runs of each configuration, by seed."""
    with np.load(folder / "validation.npz") as saved:
        kept = {name: saved[name] for name in saved.files}
    found: dict[str, list[GridRun]] = {}
    for path in sorted(folder.glob("runs/*/run.json")):
        text = json.loads(path.read_text())
        tags, params, metrics = text["tags"], text["params"], text["metrics"]
        number = list(kept["fingerprints"]).index(tags["transfer.fingerprint"])
        points = pd.read_parquet(path.parent / "history.parquet")
        curve = points[points["metric"] == "val/acc"].sort_values("epoch")["value"].to_numpy()
        standings = {
            int(epoch): _standing(kept["correct"][number, at], kept["labels"], curve[:epoch].max())
            for at, epoch in enumerate(kept["epochs"])
        }
        own_id = tags["transfer.fingerprint"]
        record = RunRecord(own_id, text["name"], "FINISHED", params, metrics, tags)
        own = GridRun(record, curve, np.maximum.accumulate(curve), metrics["test/acc"], standings)
        found.setdefault(tags["transfer.configuration"], []).append(own)
    for runs in found.values():
        runs.sort(key=lambda each: int(each.record.params["seed"]))
    return list(found.values())


def _standing(bits: np.ndarray, labels: np.ndarray, score: float) -> Standing:
    """Which of its answers are right is kept, and not which class the others were taken for."""
    right = np.unpackbits(bits, count=len(labels)).astype(bool)
    predicted = np.where(right, labels, -1).astype(np.int16)
    unknown = np.full(len(labels), np.nan, np.float32)
    return Standing(float(score), Predictions(labels, predicted, unknown, []))


@dataclass
class Options:
    keep: str = option(str(GRID), "folder that gets the runs, and validation.npz beside them")
    sweep: str = option("latest", "the sweep, as experiments/report.py takes it")
    tracking_uri: str | None = option(None, STORE)


def main(options: Options) -> None:
    client = open_store(store_uri(options.tracking_uri))
    runs = [each for each in select(client, options.sweep, "").runs if each.finished]
    keep, correct, fingerprints = Path(options.keep), [], []
    epochs: Sequence[int] = []
    for each in runs:
        folder = folder_of(each)
        assert folder is not None, each.name
        epochs = sorted(int(path.stem.split("-")[1]) for path in folder.glob("validation-*.npz"))
        standings = [read_standing(folder, epoch, each.id) for epoch in epochs]
        answers = [own.answers for own in standings if own is not None]
        labels = answers[0].labels
        correct.append([np.packbits(own.correct) for own in answers])
        fingerprints.append(each.tags["transfer.fingerprint"])
        print(keep_run(client, each, keep / "runs"))
    np.savez_compressed(
        keep / "validation.npz",
        correct=np.array(correct),
        epochs=np.array(epochs),
        labels=labels.astype(np.int16),
        fingerprints=np.array(fingerprints),
    )


if __name__ == "__main__":
    run(main, Options, __doc__)
