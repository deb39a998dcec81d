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
from transfer.job import prepare
from transfer.training.loss import class_weights, training_loss
from transfer.training.trainer import Trainer

LABELS = torch.tensor([0, 0, 0, 0, 0, 2, 1, 1])


def _logits() -> torch.Tensor:
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


def _balanced(classes: int = 3) -> torch.Tensor:
    weights = class_weights("balanced", LABELS, classes)
    assert weights is not None
    return weights


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    weights = _balanced()
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    assert weights.tolist() == pytest.approx(expected)
    assert weights[LABELS].mean() == pytest.approx(1)
    assert class_weights("none", LABELS, 3) is None
    # A class without images is none of those that share the weight.
    assert _balanced(4).tolist() == [*weights.tolist(), 0]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_weights_it_is_torchs_to_the_bit(smoothing: float) -> None:
    expected = F.cross_entropy(_logits(), LABELS, label_smoothing=smoothing)
    assert torch.equal(training_loss(_logits(), LABELS, smoothing=smoothing), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_label_is_a_mixture_of_one(smoothing: float, weighted: bool) -> None:
    weights = _balanced() if weighted else None
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
    weights, logits = _balanced(), torch.zeros(8, 3, requires_grad=True)
    training_loss(logits, LABELS, weights).backward()
    assert logits.grad is not None
    pulls = [logits.grad[label == LABELS, label].sum().item() for label in range(3)]
    assert pulls == pytest.approx([pulls[0]] * 3)


def _recalls(root: Path, kind: str) -> dict[str, float]:
    """The share of each class's test images that a training with these weights finds."""
    words = ("data=image_folder", f"data.root={root}", "epochs=6", "freeze_epochs=0")
    more = ("batch_size=16", "augment=none", "image_size=16", "protocol.result=last")
    job = prepare(config_of(*PLAIN, *words, *more, f"class_weights={kind}"))
    trainer = Trainer(job.model(), job.data, job.config, job.device, job.normalization)
    list(trainer.epochs())
    logits, labels = trainer.test_logits()
    right = logits.argmax(dim=1) == labels
    return {
        name: right[labels == k].double().mean().item() for k, name in enumerate(job.data.classes)
    }


@pytest.mark.parametrize("kind", ["none", "balanced"])
def test_the_schedule_listens_to_the_loss_that_training_brings_down(
    tmp_path: Path, kind: str
) -> None:
    _grey_pictures(tmp_path)
    words = ("data=image_folder", f"data.root={tmp_path}", "epochs=1", "freeze_epochs=0")
    words += ("image_size=16", "schedule=plateau", f"class_weights={kind}")
    job = prepare(config_of(*PLAIN, *words))
    trainer = Trainer(job.model(), job.data, job.config, job.device, job.normalization)
    [epoch] = trainer.epochs()
    state = trainer.state()
    assert state is not None
    logits, labels = trainer.val_logits(1)
    losses = F.cross_entropy(logits.double(), labels, reduction="none")
    by_class = [losses[labels == k].mean().item() for k in range(2)]
    # Held out of each class alike, so that both weigh the same.
    heard = {"none": losses.mean().item(), "balanced": sum(by_class) / 2}
    assert state["schedule"]["best"] == pytest.approx(heard[kind])
    assert epoch.val_loss == pytest.approx(heard["none"])
    assert heard["none"] != pytest.approx(heard["balanced"], rel=0.1)


def _grey_pictures(root: Path) -> None:
    """Two classes of grey pictures, the rare one brighter in general and not in every case."""
    random = np.random.default_rng(0)
    for split, sizes in (
        ("train", {"common": 180, "rare": 20}),
        ("test", {"common": 90, "rare": 90}),
    ):
        for name, count in sizes.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            levels = random.normal({"common": 110, "rare": 150}[name], 25, count).clip(0, 255)
            for number, level in enumerate(levels):
                Image.new("L", (16, 16), round(level)).save(folder / f"{number}.png")


def test_balanced_weights_find_the_rare_class(tmp_path: Path) -> None:
    _grey_pictures(tmp_path)
    plain, balanced = (_recalls(tmp_path, kind) for kind in ("none", "balanced"))
    assert balanced["rare"] > plain["rare"] + 0.2
    # What the rare class gains, the common one pays for, and it has more than it needs.
    assert balanced["common"] < plain["common"]
    assert sum(balanced.values()) > sum(plain.values())
