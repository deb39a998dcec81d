"""Colour adjustments against torchvision's functional operations."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from transfer.augment import color
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()

functional = torchvision.transforms.functional


def _images(count: int = 6) -> Tensor:
    images = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    # Grey and black pixels have no hue: the usual place for a division by zero.
    images[0, :, 0] = 0.5
    images[0, :, 1] = 0
    return images


_THEIRS = {
    color.BRIGHTNESS: functional.adjust_brightness,
    color.CONTRAST: functional.adjust_contrast,
    color.SATURATION: functional.adjust_saturation,
    color.HUE: functional.adjust_hue,
}
_FACTORS = [0.0, 0.8, 0.9, 1.0, 1.1, 1.2]


@pytest.mark.parametrize(
    ("step", "amounts"),
    [
        (color.BRIGHTNESS, _FACTORS),
        (color.CONTRAST, _FACTORS),
        (color.SATURATION, _FACTORS),
        (color.HUE, [-0.5, -0.1, 0.0, 0.03, 0.1, 0.5]),
    ],
)
def test_each_step_equals_torchvisions_image_by_image(step: int, amounts: list[float]) -> None:
    images = _images()
    neutral = torch.tensor([1.0, 1.0, 1.0, 0.0]).repeat(len(images), 1)
    neutral[:, step] = torch.tensor(amounts)
    results = color.color_jitter(images, neutral, torch.arange(4).expand(len(images), 4))
    for image, amount, result in zip(images, amounts, results, strict=True):
        torch.testing.assert_close(result, _THEIRS[step](image, amount), atol=3e-6, rtol=0)


def test_every_order_of_the_steps_equals_torchvisions() -> None:
    orders = torch.tensor(list(itertools.permutations(range(4))))
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(len(orders), 3, 8, 8, generator=generator)
    amounts = torch.rand(len(orders), 4, generator=generator) * 0.8 + 0.6
    amounts[:, color.HUE] -= 1.0
    results = color.color_jitter(images, amounts, orders)
    for image, amount, order, result in zip(images, amounts, orders, results, strict=True):
        expected = image
        for step in order.tolist():
            expected = _THEIRS[step](expected, amount[step].item())
        torch.testing.assert_close(result, expected, atol=5e-6, rtol=0)


def _jitter(images: Tensor, seed: int, **strength: float) -> Tensor:
    names = ("brightness", "contrast", "saturation", "hue")
    generator = torch.Generator().manual_seed(seed)
    strengths = [strength.get(name, 0.0) for name in names]
    return color.color_jitter(images, *color.random_jitter(len(images), strengths, generator))


def test_factors_are_of_each_image_and_uniform() -> None:
    images = torch.full((4000, 3, 2, 2), 0.5)
    factors = _jitter(images, 0, brightness=0.2)[:, 0, 0, 0] / 0.5
    assert 0.8 <= factors.min() < 0.801
    assert 1.199 < factors.max() <= 1.2
    assert abs(factors.mean() - 1) < 0.01
    assert abs(factors.std() - 0.4 / 12**0.5) < 0.005


@pytest.mark.parametrize("strength", [0.2, 0.9], ids=["as in the article", "where order matters"])
def test_the_distribution_is_that_of_torchvisions_transform(strength: float) -> None:
    torch.manual_seed(0)
    image = torch.rand(3, 6, 6)
    hue = strength / 2
    theirs = torchvision.transforms.ColorJitter(strength, strength, strength, hue)
    expected = torch.stack([theirs(image) for _ in range(3000)])
    amounts = {"brightness": strength, "contrast": strength, "saturation": strength, "hue": hue}
    ours = _jitter(image.expand(3000, -1, -1, -1), 0, **amounts)
    assert (ours.mean(dim=0) - expected.mean(dim=0)).abs().max() < 0.075 * strength
    assert (ours.std(dim=0) - expected.std(dim=0)).abs().max() < 0.06 * strength
    # In each single pixel the two samples have the same distribution (Kolmogorov-Smirnov).
    points = torch.linspace(0, 1, 200)
    for channel, row in itertools.product(range(3), range(6)):
        one = (ours[:, channel, row, 3, None] <= points).double().mean(dim=0)
        other = (expected[:, channel, row, 3, None] <= points).double().mean(dim=0)
        # 2.4 * sqrt(2 / 3000) is exceeded once in fifty thousand.
        assert (one - other).abs().max() < 0.062


def test_the_input_is_left_alone() -> None:
    images = _images()
    before = images.clone()
    _jitter(images, 0, brightness=0.5, hue=0.5)
    assert torch.equal(images, before)
