"""The options of Hydra's own parts, of a sweeper and a launcher: declared as the schema's keys are,
and read from Hydra's node."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transfer.config.check import check_key
from transfer.config.key import leaves
from transfer.system.errors import ConfigError, first_line

Options = TypeVar("Options")


def read_options(prefix: str, node: DictConfig, kind: type[Options]) -> Options:
    """The checked options of a node; what else is in it is left alone.

    Args:
        prefix: of their names, such as "hydra.sweeper.".
        kind: a dataclass whose fields were declared by `key`.

    Raises:
        ConfigError: a value is of another type, or out of range.
    """
    options = OmegaConf.structured(kind)
    for each in fields(cast(Any, kind)):
        value = OmegaConf.select(node, each.name)
        try:
            options[each.name] = value
        except OmegaConfBaseException as error:
            raise ConfigError(f"{prefix}{each.name}", value, first_line(error)) from error
    chosen = cast(Options, OmegaConf.to_object(options))
    for name, declared, value in leaves(chosen):
        check_key(f"{prefix}{name}", declared, value)
    return chosen
