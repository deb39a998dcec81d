"""Crop, mirror image and rotation against torchvision's functional operations."""

from __future__ import annotations

import pytest
import torch

from transfer.augment.geometry import (
    crop,
    flip,
    random_angles,
    random_flips,
    random_offsets,
    rotate,
)
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()

functional = torchvision.transforms.functional


def _images(count: int = 8, height: int = 12, width: int = 12) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def _generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_crop_is_a_window_of_the_padded_image() -> None:
    images = _images()
    cropped = crop(images, 2, random_offsets(len(images), 2, _generator()))
    for image, result in zip(images, cropped, strict=True):
        padded = functional.pad(image, [2, 2, 2, 2])
        windows = [
            functional.crop(padded, top, left, 12, 12) for top in range(5) for left in range(5)
        ]
        assert sum(torch.equal(result, window) for window in windows) == 1


def test_crop_offsets_are_uniform_and_of_each_image() -> None:
    # One bright pixel in the middle shows where the window went.
    images = torch.zeros(5000, 3, 5, 5)
    images[:, :, 2, 2] = 1
    cropped = crop(images, 2, random_offsets(len(images), 2, _generator()))
    positions = cropped[:, 0].flatten(1).argmax(dim=1)
    counts = torch.bincount(positions, minlength=25).double()
    # Chi-square with 24 degrees of freedom exceeds 51.2 once in a thousand.
    assert ((counts - 200) ** 2 / 200).sum() < 51.2


def test_flip_mirrors_half_of_the_images() -> None:
    images = _images(2000, 4, 4)
    flipped = flip(images, random_flips(len(images), _generator()))
    mirrored = torch.tensor(
        [
            torch.equal(one, functional.hflip(other))
            for one, other in zip(flipped, images, strict=True)
        ]
    )
    same = torch.tensor(
        [torch.equal(one, other) for one, other in zip(flipped, images, strict=True)]
    )
    assert (mirrored ^ same).all()
    assert 900 < mirrored.sum() < 1100


@pytest.mark.parametrize("shape", [(12, 12), (9, 15)])
def test_rotation_equals_torchvisions(shape: tuple[int, int]) -> None:
    images = _images(7, *shape)
    angles = torch.tensor([-15.0, -7.3, -1.0, 0.0, 2.5, 14.9, 90.0])
    rotated = rotate(images, angles)
    for image, angle, result in zip(images, angles, rotated, strict=True):
        expected = functional.rotate(image, angle.item())
        # A pixel whose source lies half-way between two may round either way.
        assert (result != expected).any(dim=0).double().mean() < 0.03


def test_rotation_angles_are_of_each_image_and_within_bounds() -> None:
    # The angle shows in where a pixel far from the centre lands.
    images = torch.zeros(500, 3, 41, 41)
    images[:, :, 19:22, 38:] = 1
    rows = torch.arange(41.0)
    rotated = rotate(images, random_angles(len(images), 15, _generator()))
    bright = rotated[:, 0, :, 36:].sum(dim=2)
    heights = (bright * rows).sum(dim=1) / bright.sum(dim=1) - 20
    angles = torch.rad2deg(torch.asin(heights / 18.5))
    assert angles.abs().max() < 17
    assert angles.min() < -12
    assert angles.max() > 12
    assert angles.unique().numel() > 30


def test_a_generator_decides() -> None:
    for draw in (
        lambda g: random_offsets(8, 2, g),
        lambda g: random_angles(8, 15, g),
        lambda g: random_flips(30, g),
    ):
        assert torch.equal(draw(_generator(1)), draw(_generator(1)))
        assert not torch.equal(draw(_generator(1)), draw(_generator(2)))
