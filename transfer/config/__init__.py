"""What can be chosen: the schema, its checks, and a fingerprint of the choice. Knows no torch."""

from __future__ import annotations

import copy
from typing import cast

from omegaconf import DictConfig, OmegaConf, flag_override

from transfer.config.check import check_config
from transfer.config.errors import ConfigError, first_line, printable, root_cause
from transfer.config.fingerprint import configuration, fingerprint, flatten
from transfer.config.schema import Config, register_schema

__all__ = [
    "Config",
    "ConfigError",
    "check_config",
    "configuration",
    "fingerprint",
    "first_line",
    "flatten",
    "printable",
    "register_schema",
    "root_cause",
    "typed_config",
]


def typed_config(composed: DictConfig) -> Config:
    """Turn what Hydra composed into checked dataclasses, so that the rest knows no OmegaConf.

    Raises:
        ConfigError: a value is missing or out of range, or two keys contradict each other.
    """
    job = copy.deepcopy(composed)
    with flag_override(job, ["struct", "readonly"], [False, False]):
        job.pop("hydra", None)
    missing = sorted(OmegaConf.missing_keys(job))
    if missing:
        raise ConfigError(missing[0], "???", "has no default; give it a value")
    config = cast(Config, OmegaConf.to_object(job))
    check_config(config)
    return config
