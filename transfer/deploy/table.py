"""Answers as a table that grows line by line: CSV or JSON, for other programs."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from transfer.deploy.classify import Answer, Prediction

Write = Callable[[Answer, str | None], None]


@contextmanager
def open_table(path: Path, top: int, *, labelled: bool) -> Iterator[Write]:
    """A new file, and what writes an answer into it: its true class beside it where `labelled`.

    Whatever ends the writing, each answer so far is whole in the file, and JSON is complete. A file
    without answers is removed.

    Args:
        path: ends in one of SUFFIXES.
        top: predictions of every answer.

    Raises:
        OSError: there is such a file, or it cannot be written.
    """
    begin, end = _KINDS[path.suffix.lower()]
    rows = 0
    # By lines: each goes to the disk when it is whole.
    with path.open("x", buffering=1, encoding="utf-8", newline="") as file:
        put = begin(file, top, labelled)

        def write(answer: Answer, true_class: str | None = None) -> None:
            nonlocal rows
            put(answer, true_class)
            rows += 1

        try:
            yield write
        finally:
            if rows:
                file.write(end)
            else:
                path.unlink()


def _begin_csv(file: IO[str], top: int, labelled: bool) -> Write:
    # Every text in quotes: a name may hold commas, quotes and line breaks.
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    ranks = ["", *(f" {rank}" for rank in range(2, top + 1))]
    names = [f"{name}{rank}" for rank in ranks for name in ("class", "probability")]
    writer.writerow(["file", *(["true class"] if labelled else []), *names])

    def put(answer: Answer, true_class: str | None) -> None:
        truth = [true_class] if labelled else []
        pairs = [(each.name, _rounded(each)) for each in answer.predictions]
        writer.writerow([_name(answer.path), *truth, *(cell for pair in pairs for cell in pair)])

    return put


def _begin_json(file: IO[str], top: int, labelled: bool) -> Write:
    separator = "[\n"

    def put(answer: Answer, true_class: str | None) -> None:
        nonlocal separator
        first, *others = (
            {"class": each.name, "probability": _rounded(each)} for each in answer.predictions
        )
        truth = {"true class": true_class} if labelled else {}
        row = {"file": _name(answer.path), **truth, **first, "runners_up": others}
        file.write(f"{separator}{json.dumps(row, ensure_ascii=False)}")
        separator = ",\n"

    return put


def _name(path: Path) -> str:
    # Most programs read no file in which one name is no UTF-8: such bytes stand as escapes.
    return str(path).encode(errors="backslashreplace").decode()


def _rounded(prediction: Prediction) -> float:
    # Of a float32 more digits say nothing.
    return float(f"{prediction.probability:.6g}")


_KINDS = {".csv": (_begin_csv, ""), ".json": (_begin_json, "\n]\n")}
SUFFIXES = tuple(_KINDS)
