"""Keep finished runs as small files for a repository or a colleague, or put them into a store.

    python experiments/archive.py keep=FOLDER [sweep=latest] [where=CONDITIONS] [tracking_uri=URI]
    python experiments/archive.py restore=FOLDER [tracking_uri=URI]

A report compares restored runs like any others, and resume=true skips what they have finished.
"""

from dataclasses import dataclass
from pathlib import Path

from experiments.arguments import STORE, option, run
from transfer.system.errors import ConfigError
from transfer.tracking.archive import keep_run, restore_runs
from transfer.tracking.selection import select
from transfer.tracking.store import open_store, store_uri


@dataclass
class Options:
    keep: str | None = option(
        None, "folder that gets a folder a run, about 50 kB each: all that a report reads"
    )
    restore: str | None = option(None, "such a folder; what the store has already is left out")
    sweep: str = option("latest", "which runs to keep, as experiments/report.py takes them")
    where: str = option("", "the same; unfinished runs are left out")
    tracking_uri: str | None = option(None, STORE)


def main(options: Options) -> None:
    if (options.keep is None) == (options.restore is None):
        raise ConfigError("keep", options.keep or "", "give either keep=FOLDER or restore=FOLDER")
    client = open_store(store_uri(options.tracking_uri))
    if options.restore is not None:
        for name, new in restore_runs(client, Path(options.restore)):
            print(f"{name}: {'restored' if new else 'the store has this result already'}")
        return
    runs = select(client, options.sweep, options.where).runs
    for each in runs:
        if each.finished:
            print(keep_run(client, each, Path(options.keep or "")))
        else:
            print(f"{each.name}: left out, it is {each.state}")


if __name__ == "__main__":
    run(main, Options, __doc__)
