"""Curves in little memory, and nothing lost that the report needs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from transfer.tracking.history import condense


def test_a_long_run_keeps_a_thousand_losses_and_the_spread_of_all() -> None:
    random = np.random.default_rng(0)
    losses = random.random(30_000)
    points = pd.DataFrame(
        {
            "metric": "step/loss",
            "epoch": np.repeat([1, 2, 3], 10_000),
            "iteration": np.arange(1, 30_001),
            "value": losses,
        }
    )
    epochs = pd.DataFrame(
        {"metric": "val/acc", "epoch": [1, 2, 3], "iteration": None, "value": [0.1, np.nan, 0.3]}
    )
    history = condense(pd.concat([points, epochs]).astype({"iteration": "Int64"}))
    assert len(history.losses) == 1000
    assert history.iterations[:2].tolist() == [1, 31]
    assert history.losses[1] == losses[30]
    assert history.batch_loss_std == pytest.approx(losses[20_000:].std())
    assert history.epochs["val/acc"].index.tolist() == [1, 2, 3]
    assert history.epochs["val/acc"].tolist() == pytest.approx([0.1, np.nan, 0.3], nan_ok=True)


def test_a_kept_run_is_as_dense_in_its_last_epoch_as_before() -> None:
    # Every fourth iteration, and all of the last epoch: what experiments/archive.py keeps.
    iterations = np.concatenate([np.arange(1, 3001, 4), np.arange(3001, 3201)])
    points = pd.DataFrame(
        {
            "metric": "step/loss",
            "epoch": np.where(iterations > 3000, 2, 1),
            "iteration": iterations,
            "value": 1.0,
        }
    )
    history = condense(points.astype({"iteration": "Int64"}))
    assert set(np.diff(history.iterations).tolist()) == {4}


def test_a_run_without_iterations_has_no_spread() -> None:
    points = pd.DataFrame(
        {"metric": ["val/acc"], "epoch": [1], "iteration": [None], "value": [0.5]}
    )
    history = condense(points.astype({"iteration": "Int64"}))
    assert len(history.losses) == 0
    assert np.isnan(history.batch_loss_std)
