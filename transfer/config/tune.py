"""What `tune` names: the part of a network that trains once the frozen epochs are over."""

import re

from transfer.config.schema import Config

CHOICES = "all, head, last:<k> (the last k stages before the head, and the head), norm"


def is_tune(word: str) -> bool:
    """Whether `tune` knows this word; how many stages a model has is not asked."""
    return re.fullmatch(r"all|head|norm|last:[1-9][0-9]{0,3}", word) is not None


def last_stages(tune: str) -> int | None:
    """How many stages before the head train: 0 with head, k with last:<k>; None where no stage is
    frozen as a whole."""
    if tune == "head":
        return 0
    return int(tune.removeprefix("last:")) if tune.startswith("last:") else None


def head_epochs(config: Config) -> int:
    """How many epochs, the first ones, train the head alone."""
    return config.epochs if config.tune == "head" else config.freeze_epochs
