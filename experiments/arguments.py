"""key=value arguments for the commands in this folder, typed by a dataclass."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import TypeVar, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transfer.system.errors import ConfigError, first_line

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
    names = {field.name for field in fields(options)}  # type: ignore[arg-type]
    arguments = _without_dashes(sys.argv[1:], names)
    if {"-h", "--help"} & set(arguments):
        print(usage.strip())
        sys.exit(0)
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


def _without_dashes(arguments: list[str], names: set[str]) -> list[str]:
    """`--key value` and `--key=value`, which other tools have taught people, as key=value."""
    plain: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        key, equals, value = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and key in names:
            plain.append(f"{key}={value if equals else next(waiting, '')}")
        else:
            plain.append(argument)
    return plain
