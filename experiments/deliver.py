"""Send MLflow what a run could not tell it, because the store was down, locked, full or read-only.

    python experiments/deliver.py folder=FOLDER[,FOLDER…] [tracking_uri=URI] [patience_s=60]

What the store has already is left out, so that nothing is there twice, however often this is run.
A run that a process still works on delivers by itself.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from experiments.arguments import option, run
from transfer.system.errors import ConfigError
from transfer.tracking.delivery import EXIT_CODE, deliver
from transfer.tracking.run_state import find_undelivered
from transfer.tracking.store import open_store


@dataclass
class Options:
    folder: str = option("", "of a job, or above it: of a sweep, or multirun for all that is left")
    tracking_uri: str | None = option(None, "MLflow store, if its address has changed")
    patience_s: float = option(60.0, "seconds to wait for a store that does not answer")


def main(options: Options) -> None:
    job_folders = [job for name in options.folder.split(",") for job in _jobs_below(name)]
    failed = False
    for job_folder in job_folders:
        try:
            client = open_store(options.tracking_uri) if options.tracking_uri else None
            print(f"{job_folder}: {deliver(job_folder, options.patience_s, client)} delivered")
        except ConfigError as error:
            print(error, file=sys.stderr)
            failed = True
    if not job_folders:
        print("nothing is left to deliver")
    if failed:
        sys.exit(EXIT_CODE)


def _jobs_below(name: str) -> list[Path]:
    folder = Path(name)
    if not name or not folder.is_dir():
        raise ConfigError("folder", name, "there is no such folder")
    return find_undelivered(folder)


if __name__ == "__main__":
    run(main, Options, __doc__)
