"""Digest and channel statistics of images in memory."""

from __future__ import annotations

import pytest
import torch

from transfer.data import copies, image_data
from transfer.data.channels import channel_statistics
from transfer.data.copies import thumbnails
from transfer.data.image_data import Source, Split
from transfer.system.digest import hex_digest


def _source(seed: int = 0, classes: tuple[str, ...] = ("a", "b")) -> Source:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8, generator=generator)
    return Source(classes, Split(images, torch.tensor([0, 1, 0, 1, 0, 1])))


def test_the_digest_names_the_content() -> None:
    digest = _source().digest
    assert digest == _source().digest
    assert len(digest) == 16
    assert digest != _source(seed=1).digest
    assert digest != _source(classes=("a", "c")).digest


def test_the_digest_sees_which_split_an_image_is_in() -> None:
    source = _source()
    as_test = Source(source.classes, source.train, test=source.train)
    as_val = Source(source.classes, source.train, val=source.train)
    assert as_test.digest != as_val.digest


def test_statistics_agree_with_floating_point() -> None:
    images = _source().train.images
    mean, std = channel_statistics(_source().train)
    scaled = images.double() / 255
    torch.testing.assert_close(
        torch.tensor(mean).double(), scaled.mean(dim=(0, 2, 3)), rtol=1e-6, atol=0
    )
    expected = scaled.std(dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(torch.tensor(std).double(), expected, rtol=1e-6, atol=0)


def test_a_constant_channel_has_a_usable_deviation() -> None:
    _, std = channel_statistics(Split(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(2)))
    assert min(std) > 0


@pytest.mark.parametrize("piece_bytes", [1, 200, 10**9])
def test_no_name_of_data_changes_with_the_pieces_that_are_read(
    piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The values are those of the version that hashed and counted all images at once: recorded
    runs and caches go by them."""
    monkeypatch.setattr(image_data, "_PIECE_BYTES", piece_bytes)
    images = (torch.arange(10 * 3 * 5 * 5) * 37 % 251).to(torch.uint8).reshape(10, 3, 5, 5)
    split = Split(images, torch.arange(10) % 2)
    few = split.subset(torch.tensor([7, 2, 5]))
    assert split.digest == "2b6749a7a601f896"
    assert few.digest == "702076823030e406"
    assert Source(("a", "b"), split, test=few).digest == "e319554aee6ee6ab"
    assert channel_statistics(split) == (
        (0.49207843137254903, 0.4775686274509804, 0.4984941176470588),
        (0.27710908332275386, 0.28560145429581796, 0.28970065139765044),
    )
    assert channel_statistics(few)[0][1] == 0.48015686274509806
    monkeypatch.setattr(copies, "_AT_ONCE", 1 + piece_bytes)
    assert hex_digest([thumbnails(split).numpy().data]) == "238ed59d23addbb8"


def test_a_subset_copies_no_image() -> None:
    split = _source().train
    few = split.subset(torch.tensor([5, 1, 3])).subset(torch.tensor([2, 0]))
    assert few.stored is split.stored
    assert torch.equal(few.images, split.images[[3, 5]])
    assert torch.equal(few.take(torch.tensor([1])), split.images[[5]])
    assert few.labels.tolist() == [1, 1] and few.nbytes == 2 * 48
