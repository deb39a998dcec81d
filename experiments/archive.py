"""Keep finished runs as small files for a repository or a colleague, or put them into a store.

    python experiments/archive.py keep=FOLDER [sweep=latest] [where=CONDITIONS] [tracking_uri=URI]
    python experiments/archive.py restore=FOLDER [tracking_uri=URI]

keep          folder that gets a folder a run, about 50 kB each: all that a report reads, no weights
restore       such a folder; runs whose result the store already has are left out
sweep, where  which runs to keep, as experiments/report.py takes them; unfinished ones are left out
tracking_uri  MLflow store; default: MLFLOW_TRACKING_URI, else mlflow.db beside train.py

A report compares restored runs like any others, and resume=true skips what they have finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.arguments import parse_arguments, refuse
from transfer.report import select
from transfer.system.errors import ConfigError, exit_with
from transfer.tracking.archive import keep_run, restore_runs
from transfer.tracking.store import open_store, store_uri


@dataclass
class Options:
    keep: str | None = None
    restore: str | None = None
    sweep: str = "latest"
    where: str = ""
    tracking_uri: str | None = None


def main() -> None:
    options, rest = parse_arguments(Options, __doc__ or "")
    refuse(rest, Options)
    if (options.keep is None) == (options.restore is None):
        raise ConfigError("keep", options.keep or "", "give either keep=FOLDER or restore=FOLDER")
    client = open_store(store_uri(options.tracking_uri))
    if options.restore is not None:
        for name, new in restore_runs(client, Path(options.restore)):
            print(f"{name}: {'restored' if new else 'the store has this result already'}")
        return
    runs = select(client, options.sweep, options.where).runs
    for run in runs:
        if run.finished:
            print(keep_run(client, run, Path(options.keep or "")))
        else:
            print(f"{run.name}: left out, it is {run.status}")


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        exit_with(error)
