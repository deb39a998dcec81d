"""Stratified splits that depend on the data seed, and the fold, alone."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from transfer.system.digest import hex_digest


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


def fold_split(labels: Tensor, fold: int, folds: int, seed: int) -> tuple[Tensor, Tensor]:
    """Hold out one of `folds` parts, of which each has its share of each class.

    Sizes of the parts differ by one image at most, and so do the numbers of images that they have
    of a class.

    Args:
        labels: int64 [N].
        fold: 0 to `folds` - 1; each image is held out in one of them.
        folds: 2 or more.
        seed: as in `stratified_split`.

    Returns:
        Indices kept and indices held out, both int64 and ascending.
    """
    # Dealt out like cards, class after class: the next class goes on where the last one ended.
    dealt = torch.cat(list(_shuffled_classes(labels, seed)))
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    held_out[dealt[fold::folds]] = True
    return (~held_out).nonzero().squeeze(1), held_out.nonzero().squeeze(1)


def split_whole(
    groups: Tensor, split: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Split groups of images as if each were one image, and all were of one class.

    Args:
        groups: [N], the number of each image's group.
        split: one of the others, of labels.

    Returns:
        Indices kept and indices held out, of images, both int64 and ascending.
    """
    numbers = groups.unique()
    _, chosen = split(torch.zeros(len(numbers), dtype=torch.int64))
    held_out = torch.isin(groups, numbers[chosen])
    return (~held_out).nonzero().squeeze(1), held_out.nonzero().squeeze(1)


def with_groups(digest: str, groups: Tensor | None) -> str:
    """The digest of images of which whole groups are drawn: in others, others would be."""
    if groups is None:
        return digest
    return hex_digest([digest.encode(), groups.contiguous().numpy().data])


def keep_per_class(labels: Tensor, count: int, seed: int) -> Tensor:
    """Indices (int64, ascending) of `count` random images of each class, or all where fewer."""
    kept = [members[:count] for members in _shuffled_classes(labels, seed)]
    return torch.cat(kept).sort().values


def _shuffled_classes(labels: Tensor, seed: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    # Sorted once: to look for each of a thousand classes among a million labels takes seconds.
    by_class = labels.argsort(stable=True)
    for members in by_class.split(labels.unique(return_counts=True)[1].tolist()):
        yield members[torch.randperm(len(members), generator=generator)]
