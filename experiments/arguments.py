"""key=value arguments for the commands in this folder, typed by a dataclass."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transfer.config import ConfigError, first_line

Options = TypeVar("Options")


def parse_arguments(options: type[Options], usage: str) -> tuple[Options, list[str]]:
    """Read the command line.

    Args:
        options: a dataclass; its fields are the keys, with types and defaults.
        usage: printed for --help.

    Returns:
        The options, and the arguments that are not ``<a field>=…``, in order.

    Raises:
        ConfigError: a value has the wrong type.
    """
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        print(usage.strip())
        sys.exit(0)
    names = {field.name for field in fields(options)}  # type: ignore[arg-type]
    parsed = OmegaConf.structured(options)
    rest = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in names:
            rest.append(argument)
            continue
        try:
            setattr(parsed, key, value)
        except OmegaConfBaseException as error:
            problem = first_line(error)
            raise ConfigError(key, value, problem) from error
    return cast(Options, OmegaConf.to_object(parsed)), rest


def refuse(arguments: list[str], options: type[object]) -> None:
    """Raise ConfigError if any argument is left over."""
    if arguments:
        keys = ", ".join(field.name for field in fields(options))  # type: ignore[arg-type]
        key, _, value = arguments[0].partition("=")
        raise ConfigError(key, value, f"unknown argument; the keys are {keys}")
