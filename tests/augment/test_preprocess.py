"""From stored images to what a network reads."""

from __future__ import annotations

import torch

from transfer.augment import Preprocess, augment, draw
from transfer.config.schema import AugmentConfig

ARTICLE = AugmentConfig(
    crop_padding=4, flip=True, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1, rotation=15
)


def _stored(size: int = 32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8, generator=generator)


def _drawn(preprocess: Preprocess, images: torch.Tensor, seed: int) -> torch.Tensor:
    return preprocess(images, preprocess.draw(images, torch.Generator().manual_seed(seed)))


def test_evaluation_images_are_never_augmented() -> None:
    preprocess = Preprocess(32, (0.5, 0.4, 0.3), (0.2, 0.25, 0.5), ARTICLE)
    mean = torch.tensor((0.5, 0.4, 0.3)).view(1, 3, 1, 1)
    std = torch.tensor((0.2, 0.25, 0.5)).view(1, 3, 1, 1)
    torch.testing.assert_close(preprocess(_stored()), (_stored() / 255 - mean) / std)


def test_training_images_are_augmented_at_the_size_asked_for() -> None:
    preprocess = Preprocess(48, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), ARTICLE)
    first = _drawn(preprocess, _stored(), 1)
    assert first.shape == (4, 3, 48, 48)
    assert first.dtype == torch.float32
    assert first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, _drawn(preprocess, _stored(), 1))
    assert not torch.equal(first, _drawn(preprocess, _stored(), 2))
    assert not torch.equal(first, preprocess(_stored()))


def test_no_augmentation_changes_nothing() -> None:
    images, config = torch.rand(2, 3, 8, 8), AugmentConfig()
    assert torch.equal(augment(images, config, draw(2, 8, config, torch.Generator())), images)


def test_padding_grows_with_the_image() -> None:
    # A white image with black moving in: at most an eighth of each edge at every size.
    for size in (32, 64):
        images = torch.ones(200, 3, size, size)
        config = AugmentConfig(crop_padding=4)
        draws = draw(200, size, config, torch.Generator().manual_seed(0))
        black = augment(images, config, draws)[:, 0] == 0
        assert black[:, :, size // 2].sum(dim=1).max() == size // 8


def test_a_random_part_comes_from_all_pixels_that_are_stored() -> None:
    photo = Preprocess(24, (0.0,) * 3, (1.0,) * 3, AugmentConfig(crop_scale=0.2))
    stored = _stored(64)
    parts = _drawn(photo, stored, 1)
    assert parts.shape == (4, 3, 24, 24)
    # Noise of single pixels, averaged over a part: the smaller the part, the rougher.
    whole = photo(stored)
    assert torch.equal(whole, photo(stored))
    assert parts.std() > 1.2 * whole.std()


def test_a_cubic_stays_within_black_and_white() -> None:
    stored = (_stored(16) > 127).to(torch.uint8) * 255
    cubic = Preprocess(32, (0.0,) * 3, (1.0,) * 3, AugmentConfig(crop_scale=0.5), "bicubic")
    for images in (cubic(stored), _drawn(cubic, stored, 1)):
        assert images.min() == 0 and images.max() == 1


def test_the_same_is_drawn_at_every_size() -> None:
    """Where the padding of small images comes to no pixel, too."""
    large, small = (draw(6, size, ARTICLE, torch.Generator().manual_seed(0)) for size in (32, 2))
    assert small["offsets"].unique().tolist() == [0]
    for name in ("flips", "amounts", "order", "angles"):
        assert torch.equal(large[name], small[name])
