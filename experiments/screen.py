"""Rank candidates in minutes, before any training: each backbone sees each image once.

    python experiments/screen.py data=image_folder data.root=photos model=all
    python experiments/screen.py data=… model=MODEL,MODEL [image_size=SIZE,SIZE] [weights=SOURCE]

Every override is one of train.py's, with commas between values as in a sweep; each combination is
a candidate. model=all takes the models whose pretrained weights are here already. Unless they are
given, weights are each model's own (auto), and images have the size that these were trained with.

A linear probe and the nearest neighbours of stored features say how much of the task each backbone
solves as it is. That drops the hopeless, and does not name the winner. A sweep on the same images
then tells in its report how well the screen agreed.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.arguments import run
from transfer.config import register_schema
from transfer.sweep.endings import one_line_for_people
from transfer.system.interrupt import EXIT_CODE


@dataclass
class Options:
    overrides: list[str]


def main(options: Options) -> None:
    register_schema()
    with one_line_for_people():
        try:
            _screen(options.overrides)
        except KeyboardInterrupt:
            print("\ninterrupted; the same command goes on with what is kept", file=sys.stderr)
            sys.exit(EXIT_CODE)


class _Once(logging.Filter):
    """Images are read anew for each size, and what is remarkable about them is the same."""

    def __init__(self) -> None:
        super().__init__()
        self._told = set[str]()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        new = text not in self._told
        self._told.add(text)
        return new


def _screen(overrides: Sequence[str]) -> None:
    # Imported here, so that --help is answered at once.
    from transfer.sweep.candidates import compose_candidates
    from transfer.sweep.screen import screen
    from transfer.sweep.screen_text import screen_text
    from transfer.system.device import keep_freed_memory
    from transfer.tracking.screens import log_screen
    from transfer.tracking.store import open_store, store_uri

    handler = logging.StreamHandler()
    handler.addFilter(_Once())
    logging.basicConfig(format="%(message)s", level=logging.WARNING, handlers=[handler])
    keep_freed_memory()
    configs = compose_candidates(overrides)
    # First, so that a store which cannot be opened costs nobody minutes.
    client = open_store(store_uri(configs[0].tracking.uri))
    found = screen(configs)
    text = screen_text(found)
    print(text)
    run_id = log_screen(client, found.table, found.params, text, found.seconds)
    print(f"\n{found.seconds:.0f} s, run {run_id}")


if __name__ == "__main__":
    run(main, Options, __doc__)
