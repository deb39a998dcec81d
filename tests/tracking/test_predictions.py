"""What saved logits say, against scikit-learn and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix

from transfer.evaluate.metrics import calibration_error
from transfer.tracking.predictions import Predictions, read_predictions


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
