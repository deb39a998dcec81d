"""Output that nobody reads any more, as of `train.py … | head`: the training goes on."""

import os
import sys
from contextlib import suppress
from typing import Any, TextIO, cast


class _Lasting:
    """A stream that writes to nowhere once its reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
        with suppress(OSError):
            # What it still holds goes there too.
            self._stream.flush()
        print("nobody reads the output any more; the training goes on", file=sys.stderr)


def outlive_reader() -> None:
    """Let this process go on when whoever reads its output stops."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _Lasting):
            setattr(sys, name, cast(TextIO, _Lasting(stream)))
