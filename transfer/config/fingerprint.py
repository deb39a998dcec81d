"""A name for a result: equal fingerprints mean equal numbers, as far as the device gives them.

Resume, skip and "the same run over seeds" all go by it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from transfer.config.key import leaves
from transfer.config.schema import Config
from transfer.config.unused import unused_keys

# Raised when the same keys come to mean another training: then all results get new names.
RECIPE_VERSION = 1


def flatten(config: Config) -> dict[str, Any]:
    """Every leaf of the configuration under its dotted key: ``{"optimizer.lr": 0.001, …}``."""
    return {name: value for name, _, value in leaves(config)}


def fingerprint(config: Config, *, data_digest: str, weights_digest: str) -> str:
    """16 hexadecimal digits over everything that was chosen and changes a run's numbers.

    Args:
        config: the job as chosen: ``precision`` "auto" where it was left to the machine.
        data_digest: content hash of images, labels and class names.
        weights_digest: content hash of the initial weights, or "none".
    """
    return _hash(_identity(config), data_digest, weights_digest)


def configuration(config: Config, *, data_digest: str, weights_digest: str) -> str:
    """The fingerprint without the seed: equal for the runs that repeat each other."""
    chosen = _identity(config)
    chosen.pop("seed", None)
    return _hash(chosen, data_digest, weights_digest)


def _identity(config: Config) -> dict[str, Any]:
    """What was chosen: the keys that differ from their defaults and that the job uses."""
    unused = unused_keys(config)
    return {
        name: value
        for name, key, value in leaves(config)
        if key.identity and name not in unused and value != key.default
    }


def _hash(chosen: dict[str, Any], *digests: str) -> str:
    text = json.dumps([RECIPE_VERSION, chosen, digests], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
