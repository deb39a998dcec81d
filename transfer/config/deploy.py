"""What `deploy` names: the files that a sweep leaves of its networks."""

import re

from transfer.system.errors import ConfigError

FORMS = ("onnx", "pt2", "int8")
EXAMPLE = "deploy=onnx,int8"


def read_forms(value: object) -> tuple[str, ...]:
    """The words in a value of `deploy`, each once, in the order of FORMS; none of null.

    Raises:
        ConfigError: it is something else.
    """
    if value is None:
        return ()
    words = re.split(r"\s*,\s*", value.strip()) if isinstance(value, str) else []
    if not words or not set(words) <= {*FORMS}:
        problem = f"choose from {', '.join(FORMS)}, or several with commas between: {EXAMPLE}"
        raise ConfigError("deploy", value, problem)
    return tuple(each for each in FORMS if each in words)
