"""A name for a result: equal fingerprints mean equal numbers.

Resume, skip and "the same run over seeds" all go by it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from transfer.config.schema import Config

# What may differ between two runs of one result: where its files lie, on what it was
# computed, and where it was written down.
_NOT_IN_RESULT = ("device", "tracking", "weights", "resume", "preview")
# Which images are used, and so which are skipped, is in the data's digest; where they lie while
# they are used changes no number.
_NOT_IN_DATA = (
    *("name", "root", "train_folder", "val_folder", "test_folder"),
    *("on_bad_image", "resident_gb"),
)


def flatten(config: Config) -> dict[str, Any]:
    """Every leaf of the configuration under its dotted key: ``{"optimizer.lr": 0.001, …}``."""
    flat: dict[str, Any] = {}

    def walk(prefix: str, node: object) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                walk(f"{prefix}.{key}" if prefix else key, value)
        else:
            flat[prefix] = node

    walk("", asdict(config))
    return flat


def fingerprint(config: Config, *, data_digest: str, weights_digest: str) -> str:
    """16 hexadecimal digits over everything that changes a run's numbers.

    Args:
        config: the job, with ``precision`` resolved (never "auto").
        data_digest: content hash of images, labels and class names.
        weights_digest: content hash of the initial weights, or "none".
    """
    return _hash(_result_keys(config), data_digest, weights_digest)


def configuration(config: Config, *, data_digest: str, weights_digest: str) -> str:
    """The fingerprint without the seed: equal for the runs that repeat each other."""
    keys = _result_keys(config)
    del keys["seed"]
    return _hash(keys, data_digest, weights_digest)


def _result_keys(config: Config) -> dict[str, Any]:
    result = asdict(config)
    for name in _NOT_IN_RESULT:
        del result[name]
    if config.frozen_features == "exact" or config.freeze_epochs == 0:
        # Choices that were added later: without them a result keeps the name that it had before.
        del result["frozen_features"], result["feature_views"]
    # A default: what counts is the rate itself, beside it.
    del result["optimizer"]["unfreeze_lr"]
    for name in _NOT_IN_DATA:
        result["data"].pop(name, None)
    return result


def _hash(keys: dict[str, Any], *digests: str) -> str:
    text = json.dumps([keys, digests], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
