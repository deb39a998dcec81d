"""The command lines of this folder: key=value, or --key value, by argparse from a dataclass."""

import sys
from argparse import SUPPRESS, Action, ArgumentError, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from dataclasses import MISSING, field, fields
from typing import Any, TypeVar, get_type_hints

from transfer.system import interrupt
from transfer.system.errors import ConfigError, exit_with, first_line, is_for_people

Options = TypeVar("Options")
STORE = "MLflow store; default: MLFLOW_TRACKING_URI, else mlflow.db beside train.py"


def option(default: Any, text: str) -> Any:
    """A field of a command's options, with what --help says of it."""
    return field(default=default, metadata={"help": text})


def run(main: Callable[[Options], None], options: type[Options], description: str | None) -> None:
    """Call `main` with the options that were typed; what is wrong with them ends in one line and
    exit code 2, and so does what a disk refuses, with exit code 1.

    Args:
        options: a dataclass of `option` fields of type int, float, str or str | None; a field
            without a default, a list of str, gets the arguments that are none of these.
        description: printed by --help, above a line a key.
    """
    try:
        main(parse(sys.argv[1:], options, description))
    except ConfigError as error:
        exit_with(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(interrupt.EXIT_CODE)
    except Exception as error:
        if not is_for_people(error):
            raise
        print(first_line(error), file=sys.stderr)
        sys.exit(1)


def parse(arguments: Sequence[str], options: type[Options], description: str | None) -> Options:
    """Options from a command line.

    Raises:
        ConfigError: a key that is none, or a value of the wrong type.
    """
    parser = ArgumentParser(
        usage=SUPPRESS,
        description=(description or "").strip(),
        formatter_class=_Formatter,
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
    )
    parser.add_argument("--help", action="help", help=SUPPRESS)
    keys = parser.add_argument_group("keys and their defaults, as KEY=VALUE or --KEY VALUE")
    known = {each.name: each for each in fields(options) if each.default is not MISSING}  # type: ignore[arg-type]
    hints = get_type_hints(options)
    for name, each in known.items():
        kind = hints[name] if hints[name] in (int, float) else str
        keys.add_argument(f"--{name}", type=kind, default=each.default, **each.metadata)
    typed = ["--help" if each == "-h" else each for each in arguments]
    typed = [f"--{each}" if "=" in each and each.split("=")[0] in known else each for each in typed]
    try:
        found, rest = parser.parse_known_args(typed)
    except ArgumentError as error:
        key = str(error.argument_name).removeprefix("--")
        [value, *_] = [each for each in typed if each.split("=")[0] == f"--{key}"]
        raise ConfigError(key, value.partition("=")[2], error.message) from error
    others = {name: rest for name in hints if name not in known}
    if rest and not others:
        key, _, value = rest[0].partition("=")
        raise ConfigError(key, value, f"unknown argument; the keys are {', '.join(known)}")
    return options(**vars(found), **others)


class _Formatter(RawDescriptionHelpFormatter):
    def _format_action_invocation(self, action: Action) -> str:
        return f"{action.dest}={'' if action.default is None else action.default}"
