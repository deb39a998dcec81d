"""Random generators for the numbered parts of one seed's work: epochs, augmented views."""

import torch


def numbered_generator(seed: int, number: int) -> torch.Generator:
    """A CPU generator that draws the same whatever came before it, and not what another number's
    or, for numbers below a million, another seed's draws."""
    return torch.Generator().manual_seed(seed * 1_000_003 + number)
