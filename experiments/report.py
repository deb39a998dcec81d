"""Write a sweep's report again, or one of several sweeps together, from MLflow alone.

    python experiments/report.py [sweep=latest] [out=FOLDER] [tracking_uri=URI]

sweep         latest, <date>/<time> as below multirun/, or the id of the sweep's MLflow run; several
              with commas between
out           folder for report.md, report.csv and figures/; default: that of the (first) sweep
tracking_uri  MLflow store; default: MLFLOW_TRACKING_URI, else mlflow.db beside train.py
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.arguments import parse_arguments, refuse
from transfer.config import ConfigError
from transfer.report import write_report
from transfer.sweep import exit_with
from transfer.tracking.find import find_sweep_runs
from transfer.tracking.store import open_store, store_uri


@dataclass
class Options:
    sweep: str = "latest"
    out: str | None = None
    tracking_uri: str | None = None


def main() -> None:
    options, rest = parse_arguments(Options, __doc__ or "")
    refuse(rest, Options)
    client = open_store(store_uri(options.tracking_uri))
    sweeps = find_sweep_runs(client, options.sweep)
    folder = Path(options.out or sweeps[0].tags["hydra.output_dir"])
    print(write_report(client, sweeps, folder))


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        exit_with(error)
