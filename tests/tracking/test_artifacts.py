"""Curves in little memory, and what saved logits say, against scikit-learn and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import confusion_matrix

from transfer.evaluate.metrics import calibration_error
from transfer.tracking.artifacts import Predictions, condense, read_predictions


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


def _saved(folder: Path, **more: object) -> tuple[Predictions, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    logits = random.normal(size=(500, 4)).astype(np.float32)
    labels = random.integers(0, 3, 500)
    np.savez_compressed(folder / "predictions.npz", logits=logits, labels=labels, **more)
    return read_predictions(folder / "predictions.npz"), logits, labels


def test_confusion_and_class_accuracy(tmp_path: Path) -> None:
    predictions, logits, labels = _saved(tmp_path)
    expected = confusion_matrix(labels, logits.argmax(axis=1), labels=range(4))
    assert (predictions.confusion == expected).all()
    shares = predictions.class_accuracy
    assert shares[:3] == pytest.approx(expected.diagonal()[:3] / expected.sum(axis=1)[:3])
    # Class 3 has no image.
    assert np.isnan(shares[3])
    assert predictions.correct.mean() == pytest.approx((logits.argmax(axis=1) == labels).mean())


def test_reliability_is_what_the_calibration_error_sums(tmp_path: Path) -> None:
    predictions, logits, labels = _saved(tmp_path)
    confidence, accuracy, count = predictions.reliability()
    assert count.sum() == 500
    gaps = np.nansum(np.abs(confidence - accuracy) * count) / 500
    expected = calibration_error(torch.from_numpy(logits), torch.from_numpy(labels))
    assert gaps == pytest.approx(expected, abs=1e-6)


def test_class_names_are_read_where_they_were_saved(tmp_path: Path) -> None:
    assert _saved(tmp_path)[0].names == ["0", "1", "2", "3"]
    names = ["cat", "dog", "小狗", "ship"]
    assert _saved(tmp_path, classes=names)[0].names == names


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", logits=np.array([object()]), labels=np.array([0]))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_predictions(tmp_path / "bad.npz")
