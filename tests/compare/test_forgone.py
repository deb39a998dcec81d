"""What dropping may have cost, held against what it did cost in recorded runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from tests.conftest import ROOT
from transfer.compare.forgone import Curve, Forgone
from transfer.compare.forgone import estimate_forgone as estimate
from transfer.compare.statistics import Floats

_CHOICES = ("model", "weights", "tune", "freeze_epochs", "optimizer", "schedule", "augment")


def estimate_forgone(finished: Sequence[Floats], dropped: Sequence[Floats]) -> Forgone | None:
    """With curves all of one kind."""
    return estimate([Curve(each) for each in finished], [Curve(each) for each in dropped])


@cache
def _recorded(name: str, epochs: int) -> list[list[Floats]]:
    """The validation accuracy by epoch: of each configuration, of each of its seeds."""
    found: dict[tuple[tuple[str, str], ...], list[Floats]] = {}
    for folder in sorted((ROOT / "experiments/results" / name / "runs").iterdir()):
        points = pd.read_parquet(folder / "history.parquet")
        curve = points[points["metric"] == "val/acc"].sort_values("epoch")["value"].to_numpy()
        params = json.loads((folder / "run.json").read_text())["params"]
        chosen = [(k, v) for k, v in params.items() if k.split(".")[0] in _CHOICES]
        if len(curve) == epochs:
            found.setdefault(tuple(sorted(chosen)), []).append(curve)
    return list(found.values())


def test_in_replays_of_recorded_runs_no_more_is_lost_than_stated() -> None:
    """Sweeps of some of the recorded configurations, of which a share is kept at one rung."""
    random = np.random.default_rng(0)
    stated, came_true, lost = [], [], []
    for replay in range(600):
        every = _recorded(*(("photos", 30), ("cifar10", 40))[replay % 2])
        members = random.permutation(len(every))[: random.integers(3, len(every) + 1)]
        curves = np.array([every[at][random.integers(len(every[at]))] for at in members])
        epoch = int(random.choice([2, 4, 7, 12, 20]))
        kept = max(-(-len(curves) // int(random.choice([2, 3]))), 2)
        best = np.maximum.accumulate(curves, axis=1)
        order = np.argsort(-best[:, epoch - 1], kind="stable")
        finished, dropped = order[:kept], order[kept:]
        found = estimate_forgone(list(curves[finished]), list(curves[dropped, :epoch]))
        assert found is not None
        behind = max([*best[dropped, -1], 0.0]) - best[finished, -1].max()
        stated.append(found.probability)
        came_true.append(behind > 0)
        lost.append(max(behind, 0.0) - found.loss)
    probability, happened = np.array(stated), np.array(came_true)
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 1)):
        chosen = (low <= probability) & (probability < high)
        assert chosen.sum() > 50
        assert happened[chosen].mean() <= probability[chosen].mean(), (low, high)
    # What is lost on average is no more than stated.
    assert np.mean(lost) < 0


def test_who_is_far_behind_or_near_the_end_costs_nothing() -> None:
    curves = [np.array([0.5, 0.7, 0.8, 0.81]), np.array([0.4, 0.65, 0.78, 0.8])] * 2
    early = estimate_forgone(curves, [np.array([0.2])])
    late = estimate_forgone(curves, [np.full(3, 0.2)])
    near = estimate_forgone(curves, [np.array([0.49])])
    assert early is not None and late is not None and near is not None
    assert late.probability < early.probability < 0.05 < near.probability < 1
    assert 0 <= late.loss < near.loss
    both = estimate_forgone(curves, [np.array([0.2]), np.array([0.49])])
    assert both is not None and both.probability > near.probability
    assert estimate_forgone(curves[:1], [np.array([0.2])]) is None


def test_who_rises_steeply_may_overtake_late() -> None:
    """As a network from random weights does beside pretrained ones, in the recorded grid."""
    curves = [
        np.array([0.57, 0.6, 0.62, 0.63, 0.64, 0.65]),
        np.array([0.56, 0.6, 0.61, 0.63, 0.64, 0.645]),
    ]
    flat = estimate_forgone(curves, [np.array([0.41, 0.42, 0.43])])
    steep = estimate_forgone(curves, [np.array([0.2, 0.33, 0.43])])
    assert flat is not None and steep is not None
    assert flat.probability < 0.01
    assert steep.probability > 0.2


def test_what_trained_other_epochs_tells_no_gains_but_may_be_the_best() -> None:
    short = [
        Curve(np.linspace(low, high, 5), None, 5)
        for low, high in ((0.6, 0.78), (0.61, 0.79), (0.62, 0.8))
    ]
    dropped = [Curve(np.array([0.5, 0.55]), None, 5)]
    rises = np.concatenate([np.linspace(0.2, 0.5, 5), np.linspace(0.5, 0.8, 25)])
    alone = estimate(short, dropped)
    beside = estimate([*short, *[Curve(rises, None, 30)] * 2], dropped)
    assert alone is not None and alone == beside and alone.finished == 3
    # What is better still leaves less to be lost.
    better = estimate([*short, Curve(np.array([0.7, 0.9]), None, 2)], dropped)
    assert better is not None and better.probability < alone.probability
    assert estimate([short[0], *[Curve(rises, None, 30)] * 2], dropped) is None


def test_a_loss_has_no_upper_bound() -> None:
    curves = [-np.array([2.0, 1.0, 0.5]), -np.array([2.2, 1.1, 0.52])]
    found = estimate_forgone(curves, [np.array([-2.3])])
    assert found is not None and 0 < found.probability < 0.5
    far = estimate_forgone(curves, [np.array([-20.0])])
    assert far is not None and far.probability < found.probability
    assert 0 < far.loss + found.loss < 0.52
