"""Digest and channel statistics of images in memory."""

from __future__ import annotations

import torch

from transfer.data.image_data import Source, Split, channel_statistics, content_digest


def _source(seed: int = 0, classes: tuple[str, ...] = ("a", "b")) -> Source:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8, generator=generator)
    return Source(classes, Split(images, torch.tensor([0, 1, 0, 1, 0, 1])))


def test_the_digest_names_the_content() -> None:
    digest = content_digest(_source())
    assert digest == content_digest(_source())
    assert len(digest) == 16
    assert digest != content_digest(_source(seed=1))
    assert digest != content_digest(_source(classes=("a", "c")))


def test_the_digest_sees_which_split_an_image_is_in() -> None:
    source = _source()
    as_test = Source(source.classes, source.train, test=source.train)
    as_val = Source(source.classes, source.train, val=source.train)
    assert content_digest(as_test) != content_digest(as_val)


def test_statistics_agree_with_floating_point() -> None:
    images = _source().train.images
    mean, std = channel_statistics(images)
    scaled = images.double() / 255
    torch.testing.assert_close(
        torch.tensor(mean).double(), scaled.mean(dim=(0, 2, 3)), rtol=1e-6, atol=0
    )
    expected = scaled.std(dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(torch.tensor(std).double(), expected, rtol=1e-6, atol=0)


def test_a_constant_channel_has_a_usable_deviation() -> None:
    _, std = channel_statistics(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    assert min(std) > 0
