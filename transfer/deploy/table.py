"""Answers as a table that grows line by line: CSV or JSON, for other programs."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO, StringIO
from pathlib import Path

from transfer.deploy.classify import Answer, Prediction

Write = Callable[[Answer, str | None], None]
# What an answer and its true class are in the file.
Row = Callable[[Answer, str | None], str]


@contextmanager
def open_table(path: Path, top: int, *, labelled: bool) -> Iterator[Write]:
    """A new file, and what writes an answer into it: its true class beside it where `labelled`.

    Whatever ends the writing, a full disk included, the file has each answer so far, whole, and
    nothing else, and JSON is complete. A file without answers is removed.

    Args:
        path: ends in one of SUFFIXES.
        top: predictions of every answer.

    Raises:
        OSError: there is such a file, or it cannot be written.
    """
    begin, end = _KINDS[path.suffix.lower()]
    rows = 0
    # Not buffered: each row goes to the disk when it is whole.
    with path.open("xb", buffering=0) as file:
        head, row_of = begin(top, labelled)
        whole = 0

        def write(answer: Answer, true_class: str | None = None) -> None:
            nonlocal rows, whole
            whole = _put(file, whole, row_of(answer, true_class), end)
            rows += 1

        try:
            whole = _put(file, whole, head, b"")
            yield write
        finally:
            if not rows:
                path.unlink()


def _put(file: FileIO, start: int, text: str, end: bytes) -> int:
    """Write a row at `start`, over what completes the file, and complete it anew; gives where the
    row ends. What does not fit leaves the file as it was."""
    row = text.encode()
    file.seek(start)
    try:
        _write_all(file, row + end)
    except OSError:
        # There was room for this before.
        file.seek(start)
        _write_all(file, end)
        file.truncate()
        raise
    return start + len(row)


def _write_all(file: FileIO, content: bytes) -> None:
    while content:
        content = content[file.write(content) :]


def _begin_csv(top: int, labelled: bool) -> tuple[str, Row]:
    line = StringIO()
    # Every text in quotes: a name may hold commas, quotes and line breaks.
    writer = csv.writer(line, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    ranks = ["", *(f" {rank}" for rank in range(2, top + 1))]
    names = [f"{name}{rank}" for rank in ranks for name in ("class", "probability")]

    def row_of(*cells: object) -> str:
        line.seek(0)
        line.truncate()
        writer.writerow(cells)
        return line.getvalue()

    def put(answer: Answer, true_class: str | None) -> str:
        truth = [true_class] if labelled else []
        pairs = [(each.name, _rounded(each)) for each in answer.predictions]
        return row_of(_name(answer.path), *truth, *(cell for pair in pairs for cell in pair))

    return row_of("file", *(["true class"] if labelled else []), *names), put


def _begin_json(top: int, labelled: bool) -> tuple[str, Row]:
    separator = "["

    def put(answer: Answer, true_class: str | None) -> str:
        nonlocal separator
        first, *others = (
            {"class": each.name, "probability": _rounded(each)} for each in answer.predictions
        )
        truth = {"true class": true_class} if labelled else {}
        row = {"file": _name(answer.path), **truth, **first, "runners_up": others}
        before, separator = separator, ","
        return f"{before}\n{json.dumps(row, ensure_ascii=False)}"

    return "", put


def _name(path: Path) -> str:
    # Most programs read no file in which one name is no UTF-8: such bytes stand as escapes.
    return str(path).encode(errors="backslashreplace").decode()


def _rounded(prediction: Prediction) -> float:
    # A float32 has no more digits that say something.
    return float(f"{prediction.probability:.6g}")


_KINDS = {".csv": (_begin_csv, b""), ".json": (_begin_json, b"\n]\n")}
SUFFIXES = tuple(_KINDS)
