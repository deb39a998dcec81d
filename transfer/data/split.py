"""Stratified splits that depend on the data seed alone."""

from collections.abc import Iterator

import torch
from torch import Tensor


def stratified_split(labels: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Hold out `fraction` of each class.

    Args:
        labels: int64 [N].
        fraction: above 0, below 1.
        seed: the same labels, fraction and seed give the same split, on any device.

    Returns:
        Indices kept and indices held out, both int64 and ascending. A class of two or more
        images has at least one on each side; a class of one stays with the kept.
    """
    kept, held_out = [], []
    for members in _shuffled_classes(labels, seed):
        count = min(max(round(fraction * len(members)), 1), len(members) - 1)
        held_out.append(members[:count])
        kept.append(members[count:])
    return torch.cat(kept).sort().values, torch.cat(held_out).sort().values


def keep_per_class(labels: Tensor, count: int, seed: int) -> Tensor:
    """Indices (int64, ascending) of `count` random images of each class, or all where fewer."""
    kept = [members[:count] for members in _shuffled_classes(labels, seed)]
    return torch.cat(kept).sort().values


def _shuffled_classes(labels: Tensor, seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for label in labels.unique():
        members = (labels == label).nonzero().squeeze(1)
        yield members[torch.randperm(len(members), generator=generator)]
