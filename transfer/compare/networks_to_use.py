"""Which networks of a sweep somebody would put to use."""

from collections.abc import Sequence

from transfer.compare.criterion import criterion_of
from transfer.compare.rows import Row, build_rows, mean_scores
from transfer.compare.statistics import pareto_front
from transfer.system.errors import ConfigError
from transfer.tracking.artifacts import NO_HISTORY
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import select
from transfer.tracking.store import Client


def network_to_take(client: Client, *, key: str, value: str) -> RunRecord:
    """The network that the report on the latest sweep says to take.

    Args:
        key, value: by which the user asked for it, for the message.

    Raises:
        ConfigError: there is no sweep, or none of its runs has finished.
    """
    try:
        found = networks_to_use(select(client, "latest").runs, "best")
    except ConfigError as error:
        problem = "there is no sweep in the store; take latest, or the id of a run"
        raise ConfigError(key, value, problem) from error
    if not found:
        raise ConfigError(key, value, "no run of the latest sweep has finished")
    return found[0]


def networks_to_use(runs: Sequence[RunRecord], which: str) -> list[RunRecord]:
    """The run that is best on validation of each configuration, in the order of a report.

    Args:
        runs: of any status.
        which: "best", the first configuration alone; "front", that one, and those to which no other
            is both at least as accurate on the test images and at least as cheap by its
            multiply-accumulates; or "all".
    """
    rows = [row for row in build_rows(runs, lambda _: NO_HISTORY, lambda _: None) if row.sound]
    criterion = criterion_of(run for row in rows for run in row.runs)
    if which == "best":
        rows = rows[:1]
    elif which == "front":
        scores = mean_scores(rows, criterion.test, criterion.sign).tolist()
        on_front = pareto_front(scores, [_macs(row) for row in rows])
        # The first is what a report says to take, be it ever so unlucky with the test images.
        rows = rows[:1] + [row for row, kept in zip(rows[1:], on_front[1:], strict=True) if kept]
    return [row.runs[row.deployed(criterion)] for row in rows]


def _macs(row: Row) -> float:
    return row.metric("profile/macs")[0]
