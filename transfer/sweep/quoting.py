"""What to type where Hydra's grammar takes a name apart: blanks, brackets, ~, other alphabets."""

import shlex
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException


def quoted_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments that Hydra cannot read, as they are to be typed, for the shell too; those that
    no quotes would mend are left out.

    Args:
        arguments: those of the command line, without the script's name.
    """
    sweeps = any(each in ("-m", "--multirun") for each in arguments)
    refused = [each for each in _joined(arguments) if not (each in arguments and _readable(each))]
    quoted = [_quoted(each, sweeps=sweeps) for each in refused]
    return [shlex.quote(each) for each in quoted if _readable(each)]


def _joined(arguments: Sequence[str]) -> list[str]:
    """Those of the form key=value. A word without "=" after one is most likely the rest of a name
    with a blank in it."""
    joined: list[str] = []
    after_override = False
    for each in arguments:
        switch = each.startswith(("-", "~"))
        if "=" in each and not switch:
            joined.append(each)
            after_override = True
        elif after_override and not switch:
            joined[-1] += f" {each}"
        else:
            after_override = False
    return joined


def _readable(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    # Its functions, such as range, raise what they like.
    except (HydraException, ValueError, TypeError):
        return False
    return True


def _quoted(override: str, *, sweeps: bool) -> str:
    key, _, value = override.partition("=")
    values = value.split(",") if sweeps else [value]
    return f"{key}={','.join(map(_as_text, values))}"


def _as_text(value: str) -> str:
    """Within Hydra's quotes."""
    plain = value.strip("\"'")
    escaped = plain.replace('"', '\\"')
    return f'"{escaped}"'
