"""What dropping may have cost, held against what it did cost in recorded runs."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pandas as pd

from tests.conftest import ROOT
from transfer.compare.forgone import estimate_forgone
from transfer.compare.statistics import Floats

_CHOICES = ("model", "weights", "tune", "freeze_epochs", "optimizer", "schedule", "augment")


@cache
def _recorded(name: str, epochs: int) -> list[list[Floats]]:
    """The best validation accuracy so far by epoch: of each configuration, of each of its seeds."""
    found: dict[tuple[tuple[str, str], ...], list[Floats]] = {}
    for folder in sorted((ROOT / "experiments/results" / name / "runs").iterdir()):
        points = pd.read_parquet(folder / "history.parquet")
        curve = points[points["metric"] == "val/acc"].sort_values("epoch")["value"].to_numpy()
        params = json.loads((folder / "run.json").read_text())["params"]
        chosen = [(k, v) for k, v in params.items() if k.split(".")[0] in _CHOICES]
        if len(curve) == epochs:
            found.setdefault(tuple(sorted(chosen)), []).append(np.maximum.accumulate(curve))
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
        order = np.argsort(-curves[:, epoch - 1], kind="stable")
        finished, dropped = curves[order[:kept]], curves[order[kept:]]
        found = estimate_forgone(
            list(finished), [(epoch, float(each[epoch - 1])) for each in dropped]
        )
        assert found is not None
        behind = max([*dropped[:, -1], 0.0]) - finished[:, -1].max()
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
    early = estimate_forgone(curves, [(1, 0.2)])
    late = estimate_forgone(curves, [(3, 0.2)])
    near = estimate_forgone(curves, [(1, 0.49)])
    assert early is not None and late is not None and near is not None
    assert late.probability < early.probability < 0.05 < near.probability < 1
    assert 0 <= late.loss < near.loss
    both = estimate_forgone(curves, [(1, 0.2), (1, 0.49)])
    assert both is not None and both.probability > near.probability
    assert estimate_forgone(curves[:1], [(1, 0.2)]) is None


def test_a_loss_has_no_upper_bound() -> None:
    curves = [-np.array([2.0, 1.0, 0.5]), -np.array([2.2, 1.1, 0.52])]
    found = estimate_forgone(curves, [(1, -2.3)])
    assert found is not None and 0 < found.probability < 0.5
    far = estimate_forgone(curves, [(1, -20.0)])
    assert far is not None and far.probability < found.probability
    assert 0 < far.loss + found.loss < 0.52
