"""How a command ends: in one line for people, interrupted, or with what Hydra refused."""

from __future__ import annotations

import math
import re
import shlex
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from transfer.config.duration import write_duration
from transfer.config.weights import EXAMPLE
from transfer.sweep.quoting import quoted_arguments
from transfer.system import interrupt
from transfer.system.errors import ConfigError, exit_with, first_line, is_for_people

if TYPE_CHECKING:
    from transfer.sweep.budget import Budget
    from transfer.sweep.outcomes import Outcome

FULL_ERROR = "HYDRA_FULL_ERROR"


@contextmanager
def one_line_for_people() -> Iterator[None]:
    """End the process where something fails, as `exit_for_people` does: of an exception in a
    callback, Hydra would make a warning and go on."""
    try:
        yield
    except Exception as error:
        exit_for_people(error)


def exit_for_people(error: Exception) -> NoReturn:
    """Leave with one line where a person can mend what went wrong, with Hydra's words where Hydra
    refuses a command line or a file, and with a traceback where it is a bug."""
    if isinstance(error, ConfigError):
        exit_with(error)
    if _comes_from_hydra(error):
        print(error if str(error) else type(error).__name__, file=sys.stderr)
        if isinstance(error.__cause__, OmegaConfBaseException):
            print(error.__cause__, file=sys.stderr)
        if any(each.startswith("weights={") and not each.endswith("}") for each in sys.argv):
            print(f"The shell took the mapping apart; in quotes: {EXAMPLE}", file=sys.stderr)
        elif isinstance(error, OverrideParseException):
            for each in quoted_arguments(sys.argv[1:]):
                print(f"For a name with such characters, type {each}", file=sys.stderr)
        print(f"\n{FULL_ERROR}=1 in the environment shows where it comes from.", file=sys.stderr)
    elif is_for_people(error):
        print(first_line(error), file=sys.stderr)
    else:
        traceback.print_exception(error)
    sys.exit(1)


def _comes_from_hydra(error: Exception) -> bool:
    """Whether Hydra, or what it reads files with, raised it."""
    if isinstance(error, HydraException | OmegaConfBaseException):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    raising = frames[-1].f_globals["__name__"] if frames else ""
    return raising.partition(".")[0] in ("hydra", "omegaconf", "yaml", "antlr4")


def resume_command(budget: str | None = None) -> str:
    """What was typed, with `resume=true`, and without a pause.

    Args:
        budget: another one than was typed.
    """
    replaced = ("resume=", "stop_after=", *(["budget="] if budget else []))
    arguments = [each for each in sys.orig_argv if not each.startswith(replaced)]
    return shlex.join([*arguments, "resume=true", *([f"budget={budget}"] if budget else [])])


def exit_interrupted() -> NoReturn:
    """Say how to go on, and leave with the code of an interruption."""
    print(f"interrupted; to go on:\n{resume_command()}", file=sys.stderr)
    sys.exit(interrupt.EXIT_CODE)


def tell_budget(budget: Budget, outcomes: Iterable[Outcome]) -> None:
    """Say what the time of a sweep was not enough for, and how to give it more."""
    status = Counter(each.status for each in outcomes)
    short = [
        f"{count} {word}"
        for count, word in (
            (status["paused"], "paused"),
            (status["out of time"], "dropped"),
            (status["left out"], "never begun"),
        )
        if count
    ]
    if not short:
        return
    given = write_duration(budget.seconds)
    # Where even the start took longer, twice as much would be used up already.
    more = write_duration(2 * max(budget.seconds, 10 * math.ceil(budget.used / 10)))
    jobs = f"the budget of {given} was too short for some jobs ({', '.join(short)})"
    if not status["finished"]:
        jobs = f"the budget of {given} was too short for any job to finish ({', '.join(short)})"
    print(f"\n{jobs}; with more of it they go on:\n{resume_command(more)}")


def answer_of(report: Path) -> str:
    """The front page of a report, as plain text: its first quotation."""
    lines = report.read_text(encoding="utf-8").splitlines()
    quoted = [line.lstrip("> ") for line in lines if line.startswith(">")]
    return "\n".join(re.sub(r"\*\*|`|\\(?=[^\w\s])", "", line) for line in quoted)
