"""Colour adjustments against torchvision's functional operations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from transfer.augment import color
from transfer.vision import torchvision

functional = torchvision.transforms.functional


def _images(count: int = 6) -> Tensor:
    images = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    # Grey and black pixels have no hue: the usual place for a division by zero.
    images[0, :, 0] = 0.5
    images[0, :, 1] = 0
    return images


@pytest.mark.parametrize(
    ("ours", "theirs", "factors"),
    [
        (color.adjust_brightness, functional.adjust_brightness, [0.0, 0.8, 0.9, 1.0, 1.1, 1.2]),
        (color.adjust_contrast, functional.adjust_contrast, [0.0, 0.8, 0.9, 1.0, 1.1, 1.2]),
        (color.adjust_saturation, functional.adjust_saturation, [0.0, 0.8, 0.9, 1.0, 1.1, 1.2]),
        (color.adjust_hue, functional.adjust_hue, [-0.5, -0.1, 0.0, 0.03, 0.1, 0.5]),
    ],
)
def test_equals_torchvisions_image_by_image(
    ours: Callable[[Tensor, Tensor], Tensor],
    theirs: Callable[[Tensor, float], Tensor],
    factors: list[float],
) -> None:
    images = _images()
    results = ours(images, torch.tensor(factors))
    for image, factor, result in zip(images, factors, results, strict=True):
        torch.testing.assert_close(result, theirs(image, factor), atol=2e-6, rtol=0)


def _jitter(images: Tensor, seed: int, **strength: float) -> Tensor:
    strengths = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0} | strength
    generator = torch.Generator().manual_seed(seed)
    return color.random_color_jitter(images, **strengths, generator=generator)


def test_factors_are_of_each_image_and_uniform() -> None:
    images = torch.full((4000, 3, 2, 2), 0.5)
    factors = _jitter(images, 0, brightness=0.2)[:, 0, 0, 0] / 0.5
    assert 0.8 <= factors.min() < 0.801
    assert 1.199 < factors.max() <= 1.2
    assert abs(factors.mean() - 1) < 0.01
    assert abs(factors.std() - 0.4 / 12**0.5) < 0.005


def test_the_order_of_the_steps_varies_between_images() -> None:
    # With both at their strongest, some images are brightened before the contrast step and
    # some after it; a fixed order would give one value for equal factors.
    image = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    brighter, flatter = torch.tensor([1.5]), torch.tensor([0.5])
    one = color.adjust_contrast(color.adjust_brightness(image, brighter), flatter)
    other = color.adjust_brightness(color.adjust_contrast(image, flatter), brighter)
    assert not torch.allclose(one, other)
    order = torch.rand(4000, 4, generator=torch.Generator().manual_seed(0)).argsort(dim=1)
    first = (order == 0).int().argmax(dim=1) < (order == 1).int().argmax(dim=1)
    assert 0.45 < first.double().mean() < 0.55


def test_mean_and_spread_agree_with_torchvisions_transform() -> None:
    torch.manual_seed(0)
    image = torch.rand(3, 6, 6)
    theirs = torchvision.transforms.ColorJitter(0.2, 0.2, 0.2, 0.1)
    expected = torch.stack([theirs(image) for _ in range(3000)])
    strengths = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}
    ours = _jitter(image.expand(3000, -1, -1, -1), 0, **strengths)
    assert (ours.mean(dim=0) - expected.mean(dim=0)).abs().max() < 0.015
    assert (ours.std(dim=0) - expected.std(dim=0)).abs().max() < 0.012
    # In each single pixel the two samples have the same distribution (Kolmogorov-Smirnov).
    points = torch.linspace(0, 1, 200)
    for channel in range(3):
        one = (ours[:, channel, 2, 3, None] <= points).double().mean(dim=0)
        other = (expected[:, channel, 2, 3, None] <= points).double().mean(dim=0)
        # 1.95 * sqrt(2 / 3000) is exceeded once in a thousand.
        assert (one - other).abs().max() < 0.0504


def test_the_input_is_left_alone() -> None:
    images = _images()
    before = images.clone()
    _jitter(images, 0, brightness=0.5, hue=0.5)
    assert torch.equal(images, before)
