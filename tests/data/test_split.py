"""Stratified splits: each class in its share, and the same for the same seed."""

from __future__ import annotations

from functools import partial

import torch

from transfer.data.split import fold_split, keep_per_class, split_whole, stratified_split

LABELS = torch.tensor([0] * 100 + [1] * 50 + [2] * 2)


def test_holds_out_the_share_of_each_class() -> None:
    kept, held_out = stratified_split(LABELS, 0.1, seed=0)
    assert torch.bincount(LABELS[held_out]).tolist() == [10, 5, 1]
    assert torch.cat([kept, held_out]).sort().values.tolist() == list(range(len(LABELS)))


def test_depends_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = stratified_split(LABELS, 0.1, seed=3)[1]
    torch.manual_seed(2)
    assert torch.equal(first, stratified_split(LABELS, 0.1, seed=3)[1])
    assert not torch.equal(first, stratified_split(LABELS, 0.1, seed=4)[1])


def test_a_class_of_one_image_is_kept() -> None:
    kept, held_out = stratified_split(torch.tensor([0, 0, 1]), 0.5, seed=0)
    assert 2 in kept.tolist()
    assert len(held_out) == 1


def test_folds_test_each_image_once_and_are_stratified() -> None:
    draw = torch.Generator().manual_seed(0)
    for folds, classes in ((2, 3), (5, 4), (7, 2), (100, 3)):
        labels = torch.randint(classes, (folds * 3 * classes + 5,), generator=draw)
        parts = [fold_split(labels, fold, folds, seed=1) for fold in range(folds)]
        tested = torch.cat([held_out for _, held_out in parts])
        assert tested.sort().values.tolist() == list(range(len(labels)))
        for kept, held_out in parts:
            assert torch.cat([kept, held_out]).sort().values.tolist() == list(range(len(labels)))
            assert all(torch.equal(each, each.sort().values) for each in (kept, held_out))
        sizes = torch.stack([labels[held_out].bincount(minlength=classes) for _, held_out in parts])
        assert (sizes.max(0).values - sizes.min(0).values).max() <= 1
        assert sizes.sum(1).max() - sizes.sum(1).min() <= 1


def test_folds_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = fold_split(LABELS, 2, 5, seed=3)[1]
    torch.manual_seed(2)
    assert torch.equal(first, fold_split(LABELS, 2, 5, seed=3)[1])
    assert not torch.equal(first, fold_split(LABELS, 2, 5, seed=4)[1])
    # On any machine: what was tested once is tested again.
    assert fold_split(LABELS[:12], 0, 4, seed=0)[1].tolist() == [3, 7, 8]


def test_keeps_so_many_a_class() -> None:
    kept = keep_per_class(LABELS, 10, seed=0)
    assert torch.bincount(LABELS[kept]).tolist() == [10, 10, 2]
    assert torch.equal(kept, keep_per_class(LABELS, 10, seed=0))


def test_draws_from_each_class_in_the_order_of_the_labels() -> None:
    """What was drawn once is drawn again, however classes are looked for."""
    labels = torch.randint(40, (1000,), generator=torch.Generator().manual_seed(0))
    draw, expected = torch.Generator().manual_seed(5), []
    for label in range(40):
        members = (labels == label).nonzero().squeeze(1)
        expected += members[torch.randperm(len(members), generator=draw)][:3].tolist()
    assert keep_per_class(labels, 3, seed=5).tolist() == sorted(expected)


def test_groups_are_held_out_whole() -> None:
    groups = torch.arange(10).repeat_interleave(3) + 5
    kept, held_out = split_whole(groups, partial(stratified_split, fraction=0.2, seed=0))
    assert len(held_out) == 6 and len(groups[held_out].unique()) == 2
    assert torch.cat([kept, held_out]).sort().values.tolist() == list(range(30))
    dealt = [
        split_whole(groups, partial(fold_split, fold=fold, folds=5, seed=0))[1] for fold in range(5)
    ]
    assert torch.cat(dealt).sort().values.tolist() == list(range(30))
