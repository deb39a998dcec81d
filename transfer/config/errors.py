"""The one error that a person can cause, and can mend."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """What an error says, in one line; its kind where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


class ConfigError(Exception):
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
        line = f"{self.key}={'null' if self.value is None else self.value}: {self.problem}"
        return " ".join(line.split())
