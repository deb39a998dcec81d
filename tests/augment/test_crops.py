"""Random resized crops against torchvision's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.augment.crops import random_boxes, resized_crop
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()

RandomResizedCrop = torchvision.transforms.RandomResizedCrop


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("shape", "size"), [((37, 37), 32), ((16, 24), 20), ((64, 64), 12)])
def test_each_crop_is_resized_as_alone(
    shape: tuple[int, int], size: int, interpolation: str
) -> None:
    images = torch.rand(30, 3, *shape, generator=_generator())
    boxes = random_boxes(30, *shape, 0.05, _generator())
    crops = resized_crop(images, boxes, size, interpolation)
    for image, (top, left, height, width), crop in zip(images, boxes.tolist(), crops, strict=True):
        part = image[None, :, top : top + height, left : left + width]
        alone = F.interpolate(part, (size, size), mode=interpolation, antialias=True)[0]
        torch.testing.assert_close(crop, alone, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    ("shape", "least_area"),
    [((32, 32), 0.08), ((32, 32), 0.9), ((32, 32), 1.0), ((20, 60), 0.5), ((60, 20), 0.9)],
    ids=["ImageNet's", "rarely another", "all of it", "wide", "high"],
)
def test_boxes_are_distributed_as_torchvisions(shape: tuple[int, int], least_area: float) -> None:
    count = 4000
    ours = random_boxes(count, *shape, least_area, _generator())
    image = torch.zeros(3, *shape)
    torch.manual_seed(0)
    theirs = torch.tensor(
        [
            RandomResizedCrop.get_params(image, [least_area, 1.0], [3 / 4, 4 / 3])
            for _ in range(count)
        ]
    )
    for which in range(4):
        points = torch.arange(max(shape) + 1)
        one, other = (
            (each[:, which, None] <= points).double().mean(dim=0) for each in (ours, theirs)
        )
        # Kolmogorov-Smirnov: 2.4 * sqrt(2 / 4000) is exceeded once in fifty thousand.
        assert (one - other).abs().max() < 0.054
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= torch.tensor(shape)).all()


def _moments(images: Tensor) -> Tensor:
    return torch.stack([images.mean(dim=0), images.std(dim=0)])


def test_the_distribution_of_pixels_is_that_of_torchvisions_transform() -> None:
    image = torch.rand(3, 20, 20, generator=_generator(1))
    boxes = random_boxes(3000, 20, 20, 0.3, _generator())
    ours = resized_crop(image.expand(3000, -1, -1, -1), boxes, 8)
    theirs = RandomResizedCrop(8, scale=(0.3, 1.0), antialias=True)
    torch.manual_seed(0)
    expected = torch.stack([theirs(image) for _ in range(3000)])
    assert (_moments(ours) - _moments(expected)).abs().max() < 0.025


def test_a_generator_decides() -> None:
    one, same, other = (random_boxes(4, 16, 16, 0.2, _generator(n)) for n in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
