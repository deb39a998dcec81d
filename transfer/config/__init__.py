"""What can be chosen: the schema, its checks, and a fingerprint of the choice. Knows no torch."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import cast

from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from transfer.config.check import check_config
from transfer.config.fingerprint import configuration, fingerprint, flatten
from transfer.config.schema import Config, register_schema
from transfer.config.unused import refuse_unused, unused_keys
from transfer.system.errors import ConfigError, first_line

__all__ = [
    "Config",
    "check_config",
    "configuration",
    "fingerprint",
    "flatten",
    "refuse_unused",
    "register_schema",
    "typed_config",
    "unused_keys",
]


def typed_config(composed: DictConfig, typed: Sequence[str] = ()) -> Config:
    """Turn what Hydra composed into checked dataclasses, so that the rest knows no OmegaConf.

    Args:
        typed: the overrides of this job alone, each of which it must use. The jobs of a sweep are
            asked together, by `refuse_unused`.

    Raises:
        ConfigError: a value is missing or out of range, two keys contradict each other, or the job
            has no use for a key that was typed.
    """
    job = copy.deepcopy(composed)
    with flag_override(job, ["struct", "readonly"], [False, False]):
        job.pop("hydra", None)
    try:
        # Interpolations, such as ${epochs}: they may lead nowhere, or to a value of another kind.
        OmegaConf.resolve(job)
    except OmegaConfBaseException as error:
        key, value = _interpolation_at_fault(composed, error)
        raise ConfigError(key, value, first_line(error)) from error
    missing = sorted(OmegaConf.missing_keys(job))
    if missing:
        raise ConfigError(missing[0], "???", "has no default; give it a value")
    config = cast(Config, OmegaConf.to_object(job))
    check_config(config)
    refuse_unused([(config, typed)])
    return config


def _interpolation_at_fault(
    composed: DictConfig, error: OmegaConfBaseException
) -> tuple[str, object]:
    """The key, and the value as it was written; OmegaConf does not always say."""
    tree = cast(dict[str, object], OmegaConf.to_container(composed, resolve=False))
    tree.pop("hydra", None)
    written = dict(_interpolations(tree, ""))
    for key, value in written.items():
        try:
            OmegaConf.select(composed, key)
        except OmegaConfBaseException:
            return key, value
    key = error.full_key or next(iter(written), "config")
    return key, written.get(key)


def _interpolations(node: object, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _interpolations(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _interpolations(value, f"{key}[{index}]")
    elif isinstance(node, str) and "${" in node:
        yield key, node
