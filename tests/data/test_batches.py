"""Batches: every image once, in an order that the generator decides."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest
import torch

from transfer.data import Batches, Split


def _batches(count: int, batch_size: int) -> Batches:
    images = torch.zeros(count, 3, 2, 2, dtype=torch.uint8)
    return Batches(
        Split(images, torch.arange(count)), batch_size, torch.device("cpu"), resident=True
    )


def test_in_order_gives_everything() -> None:
    batches = _batches(10, 4)
    labels = [labels for _, labels in batches.in_order()]
    assert torch.cat(labels).tolist() == list(range(10))
    assert len(labels) == 3


def test_shuffled_is_a_permutation_drawn_from_the_generator() -> None:
    batches = _batches(10, 4)

    def order(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return torch.cat([labels for _, labels in batches.shuffled(generator)]).tolist()

    assert sorted(order(0)) == list(range(10))
    assert order(0) == order(0) != order(1)


def test_a_last_batch_of_one_is_left_out() -> None:
    batches = _batches(9, 4)
    sizes = [len(labels) for _, labels in batches.shuffled(torch.Generator())]
    assert sizes == [4, 4]
    assert batches.training_batches() == 2


def _both(count: int = 23) -> list[Batches]:
    """Batches of every other image of a split, resident and streamed."""
    images = torch.randint(0, 256, (2 * count, 3, 4, 4), dtype=torch.uint8)
    split = Split(images, torch.arange(2 * count)).subset(torch.arange(0, 2 * count, 2))
    return [Batches(split, 4, torch.device("cpu"), resident=each) for each in (True, False)]


def _equal(one: list[tuple[torch.Tensor, ...]], other: list[tuple[torch.Tensor, ...]]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) for both in pairs for a, b in zip(*both, strict=True))


def test_streamed_batches_are_the_resident_ones() -> None:
    resident, streamed = _both()
    assert _equal(list(resident.in_order()), list(streamed.in_order()))
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    epochs = [
        [list(batches.shuffled(generator, skip)) for skip in (0, 3)]
        for batches, generator in zip((resident, streamed), generators, strict=True)
    ]
    for one, other in zip(*epochs, strict=True):
        assert _equal(one, other)
    assert [len(batches) for batches in epochs[1]] == [6, 3]
    assert torch.equal(*(generator.get_state() for generator in generators))


def test_on_a_cpu_resident_images_are_not_copied() -> None:
    resident, _ = _both()
    resident._split.stored.fill_(7)
    assert all((images == 7).all() for images, _ in resident.in_order())
    assert all((images == 7).all() for images, _ in resident.shuffled(torch.Generator()))


def test_a_device_gets_the_images_once_they_are_asked_for() -> None:
    """Features, which take their place, are given without them."""
    images, asked = torch.zeros(10, 3, 2, 2, dtype=torch.uint8), list[str]()

    class Watched(Split):
        @property
        def images(self) -> torch.Tensor:
            asked.append("images")
            return super().images

    split = Watched(images, torch.arange(10))
    batches = Batches(split, 4, torch.device("meta"), resident=True)
    features = torch.empty(10, 7, device="meta")
    shapes = [tuple(each.shape) for each, _ in batches.with_inputs(features).in_order()]
    assert shapes == [(4, 7), (4, 7), (2, 7)] and not asked
    for _ in range(2):
        assert [len(each) for each, _ in batches.in_order()] == [4, 4, 2]
    assert asked == ["images"]


def test_a_stream_that_is_left_early_leaves_no_thread() -> None:
    _, streamed = _both(1000)
    before = threading.active_count()
    with closing(streamed.shuffled(torch.Generator())) as batches:
        next(batches)
        assert threading.active_count() > before
    assert threading.active_count() == before
    with closing(streamed.in_order()) as ordered:
        next(ordered)
    assert threading.active_count() == before


def test_an_error_in_a_thread_is_the_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    _, streamed = _both()

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Split, "take", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        list(streamed.in_order())
