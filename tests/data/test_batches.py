"""Batches: every image once, in an order that the generator decides."""

from __future__ import annotations

import torch

from transfer.data import Batches, Split


def _batches(count: int, batch_size: int) -> Batches:
    images = torch.zeros(count, 3, 2, 2, dtype=torch.uint8)
    return Batches(Split(images, torch.arange(count)), batch_size, torch.device("cpu"))


def test_in_order_gives_everything() -> None:
    batches = _batches(10, 4)
    labels = [labels for _, labels in batches.in_order()]
    assert torch.cat(labels).tolist() == list(range(10))
    assert len(labels) == len(batches) == 3


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
