"""Numbered generators: which number draws what."""

from __future__ import annotations

import torch

from transfer.system.seeds import numbered_generator


def test_each_number_of_each_seed_draws_its_own_and_always_the_same() -> None:
    pairs = [(seed, number) for seed in range(3) for number in (0, 1, 2, 999_999)]
    draws = [torch.randperm(100, generator=numbered_generator(*pair)).tolist() for pair in pairs]
    again = [torch.randperm(100, generator=numbered_generator(*pair)).tolist() for pair in pairs]
    assert draws == again
    assert len({tuple(draw) for draw in draws}) == len(pairs)


def test_recorded_results_rest_on_these_seeds() -> None:
    assert numbered_generator(2, 7).initial_seed() == 2_000_013
