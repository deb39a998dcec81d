"""Errors for people: one line each, no traceback."""

import re
import sys
import unicodedata
from typing import NoReturn

_PASSWORD = re.compile(r"(://[^\s:/@]*):[^\s/@]+@")


def is_for_people(error: BaseException) -> bool:
    """Whether an error's own line is enough; else its traceback means a bug of ours."""
    # What a disk or a file system says (full, gone, not allowed) is no bug of ours.
    return isinstance(error, UserError | OSError)


def printable(text: str) -> str:
    """`text` in one line, for a terminal and for UTF-8: control characters, line breaks and bytes
    that are no UTF-8 (as Python reads them from file names) become escapes such as \\n."""
    # Nearly all names: none of their characters is one of those kinds.
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        else char
        for char in text
    )


def without_password(text: str) -> str:
    """What goes into a store or a log is read by others than who typed it: `user:password@` in an
    address becomes `user:***@`."""
    return _PASSWORD.sub(r"\1:***@", text)


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def root_cause(error: BaseException) -> str:
    """What was behind an error in the end, in one line: "Connection refused" and the like."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    # MLflow's name the server's whole address.
    return without_password(first_line(error))


class UserError(Exception):
    """What a person can mend; the message is one line that says how."""


class ConfigError(UserError):
    """A value that cannot work: printed as one line, and the process exits with code 2.

    Args:
        key: the full key as typed on the command line, such as ``optimizer.lr``.
        value: what it was set to.
        problem: what is wrong with it, and what would do.
    """

    def __init__(self, key: str, value: object, problem: str) -> None:
        self.key = key
        self.value = value
        self.problem = problem
        # Joblib and submitit pickle exceptions across processes, and pickle
        # calls the class with `args`.
        super().__init__(key, value, problem)

    def __str__(self) -> str:
        # Of a value, a file's name often, every character counts; of a library's words none.
        value = printable("null" if self.value is None else str(self.value))
        problem = printable(" ".join(self.problem.split()))
        return without_password(f"{self.key}={value}: {problem}")


def exit_with(error: ConfigError) -> NoReturn:
    """Print the error's one line and leave with code 2."""
    print(error, file=sys.stderr)
    sys.exit(2)
