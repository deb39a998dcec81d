"""Mixtures of two images against torchvision's, and the shares of their classes."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor

from tests.conftest import config_of
from transfer.augment.mixing import mix, random_beta, random_mixtures
from transfer.config.schema import AugmentConfig
from transfer.system.torchvision import load_torchvision

load_torchvision()
v2 = importlib.import_module("torchvision.transforms.v2")


def _config(**chosen: float) -> AugmentConfig:
    return AugmentConfig("mixed", mix_probability=chosen.pop("mix_probability", 1.0), **chosen)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _numbered(count: int, size: int = 12) -> tuple[Tensor, Tensor]:
    """Image n is n everywhere, and of class n."""
    labels = torch.arange(count)
    return labels.float().view(-1, 1, 1, 1).expand(-1, 3, size, size).clone(), labels


def _mix(
    images: Tensor, labels: Tensor, classes: int, config: AugmentConfig
) -> tuple[Tensor, Tensor]:
    count, _, height, width = images.shape
    mixtures = random_mixtures(count, height, width, config, _generator())
    return mix(images, labels, classes, mixtures)


def _shares(config: AugmentConfig, images: Tensor, count: int = 4000) -> tuple[Tensor, Tensor]:
    """Mixtures of a black and a white image, and how much of white is in each."""
    labels = torch.arange(count) % 2
    batch = images[labels]
    mixed, targets = _mix(batch, labels, 2, config)
    own = targets.gather(1, labels[:, None]).squeeze(1)
    white = mixed.mean(dim=(1, 2, 3))
    return own, torch.where(labels == 1, white, 1 - white)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_the_shares_of_the_classes_are_those_of_the_pixels(name: str) -> None:
    black_and_white = torch.stack([torch.zeros(3, 12, 10), torch.ones(3, 12, 10)])
    own, pixels = _shares(_config(**{name: 1.0}), black_and_white)
    torch.testing.assert_close(own, pixels, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "alpha"), [("mixup", 0.2), ("mixup", 1.0), ("cutmix", 1.0)])
def test_shares_are_distributed_as_torchvisions(name: str, alpha: float) -> None:
    black_and_white = torch.stack([torch.zeros(3, 12, 10), torch.ones(3, 12, 10)])
    own, _ = _shares(_config(**{name: alpha}), black_and_white)
    kind = {"mixup": "MixUp", "cutmix": "CutMix"}[name]
    theirs = getattr(v2, kind)(alpha=alpha, num_classes=2)
    torch.manual_seed(0)
    labels = torch.tensor([0, 1])
    expected = torch.stack([theirs(black_and_white, labels)[1][0, 0] for _ in range(4000)])
    points = torch.linspace(0, 1, 101)
    one, other = ((each <= points[:, None] + 1e-6).double().mean(1) for each in (own, expected))
    # Kolmogorov-Smirnov: 2.4 * sqrt(2 / 4000) is exceeded once in fifty thousand.
    assert (one - other).abs().max() < 0.054


def test_cutmix_boxes_lie_where_torchvisions_do() -> None:
    count = 6000
    black = torch.zeros(count, 1, 9, 7)
    black[::2] = 1
    mixed, _ = _mix(black, torch.arange(count) % 2, 2, _config(cutmix=1.0))
    ours = (mixed != black).double().mean(dim=0)
    theirs = v2.CutMix(alpha=1.0, num_classes=2)
    torch.manual_seed(0)
    pair, labels = black[:2], torch.tensor([0, 1])
    expected = torch.stack([(theirs(pair, labels)[0] != pair)[0] for _ in range(count)])
    assert (ours - expected.double().mean(dim=0)).abs().max() < 0.045


def test_the_partner_is_the_image_before() -> None:
    images, labels = _numbered(5)
    mixed, targets = _mix(images, labels, 5, _config(cutmix=1.0))
    for number in range(5):
        assert set(mixed[number].unique().tolist()) <= {float(number), float((number - 1) % 5)}
        assert set(targets[number].nonzero().flatten().tolist()) <= {number, (number - 1) % 5}
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(5))


def test_each_image_is_mixed_in_its_own_way_and_some_not_at_all() -> None:
    images, labels = _numbered(3000, 4)
    config = _config(mixup=1.0, cutmix=1.0, mix_probability=0.5)
    mixed, targets = _mix(images, labels, 3000, config)
    own = targets.gather(1, labels[:, None]).squeeze(1)
    flat = mixed.flatten(1)
    veiled = (flat == flat[:, :1]).all(dim=1) & (own < 1)
    assert 0.2 < veiled.double().mean() < 0.33
    assert own.unique().numel() > 500
    assert torch.equal(mixed[own == 1], images[own == 1])
    assert (own == 1).double().mean() > 0.45


def test_beta_is_that_of_the_books() -> None:
    for alpha in (0.01, 0.1, 1.0, 4.0):
        drawn = random_beta(torch.full((20000,), alpha), _generator())
        assert abs(drawn.mean() - 0.5) < 0.01
        # Its variance is 1 / (4 (2 alpha + 1)).
        assert abs(drawn.var() - 1 / (4 * (2 * alpha + 1))) < 0.004


def test_off_draws_nothing() -> None:
    images, labels = _numbered(4)
    generator = _generator()
    before = generator.get_state()
    mixtures = random_mixtures(4, 12, 12, config_of().augment, generator)
    same, targets = mix(images, labels, 4, mixtures)
    assert same is images and targets is labels
    assert torch.equal(generator.get_state(), before)
