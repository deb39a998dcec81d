"""A name for a result: equal fingerprints mean equal numbers, as far as the device gives them.

Resume, skip and "the same run over seeds" all go by it.
"""

import hashlib
import json
from dataclasses import replace
from typing import Any

from transfer.config.key import leaves
from transfer.config.schema import Config
from transfer.config.tune import head_epochs
from transfer.config.unused import unused_keys

# Raised when the same keys come to mean another training: then all results get new names.
RECIPE_VERSION = 3


def flatten(config: Config) -> dict[str, Any]:
    """Every leaf of the configuration under its dotted key: ``{"optimizer.lr": 0.001, …}``."""
    return {name: value for name, _, value in leaves(config)}


def texts(config: Config) -> dict[str, str]:
    """The same in text, as they are a run's parameters: ``{"data.fold": "null", …}``."""
    return {
        name: "null" if value is None else str(value) for name, value in flatten(config).items()
    }


def fingerprint(config: Config, *, data_digest: str, weights_digest: str) -> str:
    """16 hexadecimal digits over everything that was chosen and changes a run's numbers: the keys
    that differ from their defaults and that the job uses.

    Args:
        config: the job as chosen: ``precision`` "auto" where it was left to the machine.
        data_digest: content hash of images, labels and class names.
        weights_digest: content hash of the initial weights, or "none".
    """
    if head_epochs(config) == config.epochs:
        # What freeze_epochs=epochs says, too.
        config = replace(config, tune="head")
    unused = unused_keys(config)
    chosen = {
        name: value
        for name, key, value in leaves(config)
        if key.identity and name not in unused and value != key.default
    }
    text = json.dumps([RECIPE_VERSION, chosen, [data_digest, weights_digest]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def configuration(config: Config, *, data_digest: str, weights_digest: str) -> str:
    """A name for the runs that repeat each other: the fingerprint of the one with seed 0, and of
    those that test on folds, the first fold."""
    data = config.data if config.data.fold is None else replace(config.data, fold=0)
    first = replace(config, seed=0, data=data)
    return fingerprint(first, data_digest=data_digest, weights_digest=weights_digest)
