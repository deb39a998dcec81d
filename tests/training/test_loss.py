"""The loss of training: labels and mixtures, smoothed or not, each class weighted or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.utils.class_weight import compute_class_weight

from tests.conftest import PLAIN, config_of
from transfer.evaluate.metrics import Evaluation, evaluate_logits
from transfer.job import prepare
from transfer.training.loss import balanced_class_weights, training_loss
from transfer.training.trainer import Trainer

LABELS = torch.tensor([0, 0, 0, 0, 0, 2, 1, 1])


def _logits() -> torch.Tensor:
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    weights = balanced_class_weights(LABELS, 3)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    assert weights.tolist() == pytest.approx(expected)
    assert weights[LABELS].mean() == pytest.approx(1)
    # A class without images is none of those that share the weight.
    assert balanced_class_weights(LABELS, 4).tolist() == [*weights.tolist(), 0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_weights_it_is_torchs_to_the_bit(smoothing: float) -> None:
    expected = F.cross_entropy(_logits(), LABELS, label_smoothing=smoothing)
    assert torch.equal(training_loss(_logits(), LABELS, smoothing=smoothing), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_label_is_a_mixture_of_one(smoothing: float, weighted: bool) -> None:
    weights = balanced_class_weights(LABELS, 3) if weighted else None
    shares = F.one_hot(LABELS, 3).float()
    pure = training_loss(_logits(), shares, weights, smoothing)
    torch.testing.assert_close(pure, training_loss(_logits(), LABELS, weights, smoothing))


def test_a_mixture_counts_as_its_classes_do_in_their_shares() -> None:
    weights, logits = torch.tensor([0.5, 1.0, 2.0]), _logits()[:2]
    shares = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    logs = logits.log_softmax(dim=1)
    by_hand = -(0.75 * (shares[0] @ logs[0]) + 1.75 * (shares[1] @ logs[1])) / 2
    torch.testing.assert_close(training_loss(logits, shares, weights), by_hand)


def test_each_class_pulls_alike() -> None:
    weights, logits = balanced_class_weights(LABELS, 3), torch.zeros(8, 3, requires_grad=True)
    training_loss(logits, LABELS, weights).backward()
    assert logits.grad is not None
    pulls = [logits.grad[label == LABELS, label].sum().item() for label in range(3)]
    assert pulls == pytest.approx([pulls[0]] * 3)


def _trained(root: Path, class_weights: str) -> Evaluation:
    words = ("data=image_folder", f"data.root={root}", "epochs=6", "freeze_epochs=0")
    more = ("batch_size=16", "optimizer.lr=3e-4", "image_size=16")
    job = prepare(config_of(*PLAIN, *words, *more, f"class_weights={class_weights}"))
    trainer = Trainer(job.model(), job.data, job.config, job.device)
    list(trainer.epochs())
    return evaluate_logits(*trainer.test_logits())


def _grey_pictures(root: Path) -> None:
    """Two classes of grey pictures, the rare one brighter in general and not in every case."""
    random = np.random.default_rng(0)
    for split, sizes in (
        ("train", {"common": 180, "rare": 20}),
        ("test", {"common": 90, "rare": 10}),
    ):
        for name, count in sizes.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            levels = random.normal({"common": 110, "rare": 150}[name], 25, count).clip(0, 255)
            for number, level in enumerate(levels):
                Image.new("L", (16, 16), round(level)).save(folder / f"{number}.png")


def test_balanced_weights_find_the_rare_class(tmp_path: Path) -> None:
    _grey_pictures(tmp_path)
    plain, balanced = _trained(tmp_path, "none"), _trained(tmp_path, "balanced")
    assert balanced.balanced_accuracy > plain.balanced_accuracy + 0.1
    # What the rare class gains, the common one pays for.
    assert balanced.accuracy < plain.accuracy
