"""TrivialAugment against torchvision's, image by image and in distribution."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor

from transfer.augment import trivial
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()
autoaugment = importlib.import_module("torchvision.transforms.autoaugment")

THEIRS = autoaugment.TrivialAugmentWide()
NEAREST = torchvision.transforms.InterpolationMode.NEAREST
SPACE = THEIRS._augmentation_space(31)
# torchvision cuts levels to whole numbers, once or twice on the way.
CUT = {"Brightness": 1, "AutoContrast": 1, "Color": 2, "Contrast": 2, "Sharpness": 2}


def _levels(count: int, height: int = 32, width: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, 3, height, width)
    levels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    # Dark ones, and one of a single level.
    levels[: count // 4] //= 4
    levels[0] = 7
    return levels


@pytest.mark.parametrize("shape", [(32, 32), (20, 40)])
@pytest.mark.parametrize("operation", range(14), ids=list(SPACE))
def test_each_change_equals_torchvisions(operation: int, shape: tuple[int, int]) -> None:
    name = list(SPACE)[operation]
    levels = _levels(62, *shape)
    strengths = torch.arange(62) % 31
    signs = (torch.arange(62) // 31) * 2 - 1
    operations = torch.full((62,), operation)
    magnitudes = trivial.magnitudes(operations, strengths, signs)
    results = trivial.trivial_augment(levels / 255, operations, magnitudes)
    table, signed = SPACE[name]
    for image, strength, sign, result in zip(levels, strengths, signs, results, strict=True):
        magnitude = float(table[strength]) if table.ndim else 0.0
        magnitude *= int(sign) if signed else 1
        expected = autoaugment._apply_op(image, name, magnitude, NEAREST, None)
        assert (255 * result - expected).abs().max() < CUT.get(name, 0) + 1e-3


def test_changes_strengths_and_signs_are_drawn_as_torchvisions() -> None:
    generator = torch.Generator().manual_seed(0)
    image = _levels(4, 6, 6)[2] // 2 + 40
    changes = trivial.random_changes(4000, generator)
    ours = trivial.trivial_augment((image / 255).expand(4000, -1, -1, -1), *changes)
    torch.manual_seed(0)
    expected = torch.stack([THEIRS(image) for _ in range(4000)]) / 255
    points = torch.linspace(0, 1, 52)
    for channel in range(3):
        for row in range(6):
            one, other = (
                (each[:, channel, row, 3, None] <= points).double().mean(dim=0)
                for each in (ours, expected)
            )
            # 2.4 * sqrt(2 / 4000) is exceeded once in fifty thousand; levels are cut, see above.
            assert (one - other).abs().max() < 0.07


def test_the_input_is_left_alone() -> None:
    images = _levels(100) / 255
    before = images.clone()
    changes = trivial.random_changes(len(images), torch.Generator().manual_seed(0))
    changed = trivial.trivial_augment(images, *changes)
    assert torch.equal(images, before)
    same = (changed == images).flatten(1).all(dim=1).double().mean()
    assert same < 0.3
    assert changed.min() >= 0 and changed.max() <= 1
