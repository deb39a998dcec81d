"""What may be tried of a candidate, where what was typed takes the place of its parts of that."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from transfer.sweep.grid import Candidate, Tuning, tunings
from transfer.sweep.words import Words


def offered(candidate: Candidate, config: DictConfig, words: Words) -> list[Tuning]:
    """All that may be tried of a candidate, the likeliest first.

    Args:
        config: of the sweep.
    """
    optimizer = str(OmegaConf.select(config, "optimizer.name"))
    augment = str(OmegaConf.select(config, "augment.name"))
    fitting = None if augment == "none" else augment
    return words.replace_in(tunings(candidate, optimizer, fitting))


def own_overrides(tuning: Tuning, words: Words, epochs: int, frozen: Sequence[int]) -> list[str]:
    """What a job of a configuration has, beside its candidate and what was typed.

    Args:
        frozen: how many epochs its head learns alone, as `frozen_epochs` has them.
    """
    own = [] if words.types("epochs") else [f"epochs={epochs}"]
    own += tuning.overrides
    if tuning.kind != "head" and not words.types("freeze_epochs"):
        own += [f"freeze_epochs={number}" for number in frozen]
    if tuning.kind == "all" and max(frozen) == 0:
        # Nothing is frozen, and nothing can be stored.
        own = [each for each in own if not each.startswith("frozen_features=")]
    return own
