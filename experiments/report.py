"""Compare runs again, from MLflow alone: nothing is trained.

    python experiments/report.py [sweep=latest] [where=CONDITIONS] [lang=en] [out=FOLDER]
        [equivalent_within=1]

Writes report.md, report.html, report.csv, report.parquet and figures/.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.arguments import STORE, option, run
from transfer.report.write import EQUIVALENT_WITHIN, write_report
from transfer.system.errors import ConfigError, first_line
from transfer.tracking.previous_run import folder_of
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import select
from transfer.tracking.store import open_store, store_uri


@dataclass
class Options:
    sweep: str = option(
        "latest",
        "latest, <date>/<time> as below multirun/, or the id of the sweep's MLflow run; several"
        " with commas between; all: every run of the store",
    )
    where: str = option(
        "", 'keep the runs that fit, such as where="data=cifar10 and epochs>=40 and test/acc>0.5"'
    )
    lang: str = option("en", "en or zh")
    out: str | None = option(
        None,
        "folder for all of it; default: that of the (first) sweep, or report/ here",
    )
    equivalent_within: float = option(
        100 * EQUIVALENT_WITHIN,
        "points of accuracy, or by select_by=loss hundredths of it; configurations that surely"
        " differ by less are called equivalent",
    )
    tracking_uri: str | None = option(None, STORE)


def main(options: Options) -> None:
    within = options.equivalent_within
    if not 0 < within < 100:
        problem = (
            "must be above 0 and below 100: points of accuracy (hundredths of loss), such as 1"
        )
        raise ConfigError("equivalent_within", f"{within:g}", problem)
    client = open_store(store_uri(options.tracking_uri))
    selection = select(client, options.sweep, options.where)
    if not selection.runs and not options.where:
        raise ConfigError("sweep", options.sweep, "the store has no run of it yet")
    if not selection.runs:
        problem = f"no run fits; {selection.left_out} runs do not"
        raise ConfigError("where", options.where, problem)
    folder = _folder(options, selection.sweeps)
    print(write_report(client, selection, folder, options.lang, within / 100))


def _folder(options: Options, sweeps: Sequence[RunRecord]) -> Path:
    """Where the report goes; made here, so that a place that cannot be written is told at once."""
    default = (folder_of(sweeps[0]) if sweeps else None) or Path("report")
    folder = Path(options.out) if options.out else default
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"this folder cannot be made ({first_line(error)}); give another one"
        raise ConfigError("out", str(folder), problem) from error
    return folder


if __name__ == "__main__":
    run(main, Options, __doc__)
