"""The best configurations of a sweep over further seeds, until the verdict between them is in.

Validation names them: the first ones in its order. The verdict is that of a report on these alone:
of the configuration that validation chose and its rival among them, as recipes. So the test images
say when it is enough, as they would to a reader of the report; they never say which configuration
is repeated, or chosen.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig

from transfer.compare.comparison import Comparison
from transfer.compare.rows import Row, build_rows
from transfer.config.halving import ChooseConfig, sweeper_options
from transfer.sweep.choose.so_far import may_go_on
from transfer.sweep.expected import duration
from transfer.sweep.race.more_jobs import add_jobs
from transfer.tracking.artifacts import NO_HISTORY, Predictions, read_predictions
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.run_record import RunRecord
from transfer.tracking.selection import select
from transfer.tracking.store import answering
from transfer.tracking.sweep_run import FURTHER_SEEDS_TAG, tag_sweep

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

log = logging.getLogger(__name__)


class _Further(NamedTuple):
    """One more seed of a configuration, of which job number `base` has another one."""

    base: int
    seed: int
    configuration: str


class Finalists:
    """Gives the jobs that repeat them.

    Args:
        sweep: whose race is over.
        config: of the sweep, Hydra's own part included.
    """

    def __init__(self, sweep: Sweep, config: DictConfig) -> None:
        self._sweep, self._config = sweep, config
        self._options = sweeper_options(config.hydra.sweeper, ChooseConfig)
        self._tried = set[tuple[str, int]]()
        self._batch = list[int]()

    def next_batch(self) -> list[int]:
        """The numbers of the jobs to launch next: one more seed of each finalist; none where the
        verdict is in, the time is up, or the sweep was interrupted."""
        ended, self._batch = self._batch, []
        if not may_go_on(self._sweep, ended):
            return []
        rows = self._rows()
        for count in counts_of_finalists(len(rows), self._options.finalists):
            finalists = rows[:count]
            if is_decided(finalists, self._options.seeds):
                return []
            jobs = self._further(finalists)
            if jobs and self._has_time([job.base for job in jobs]):
                self._batch = self._add(jobs)
                return self._batch
        return []

    def _rows(self) -> list[Row]:
        """What has finished, as the report will have it, in order of validation."""
        client, run = self._sweep.client, self._sweep.run
        if run is None:
            return []

        def answers(record: RunRecord) -> Predictions | None:
            with TemporaryDirectory() as folder:
                found = fetch_artifact(client, record, "predictions.npz", Path(folder))
                return read_predictions(found)

        with answering(client.tracking_uri, "read"):
            rows = build_rows(select(client, run.run_id).runs, lambda _: NO_HISTORY, answers)
        return [row for row in rows if row.sound]

    def _further(self, rows: Sequence[Row]) -> list[_Further]:
        """The next seed of each finalist that has the fewest."""
        sweep = self._sweep
        number_of = {
            sweep.jobs[number].fingerprint: number for number in map(int, sweep.expected.jobs)
        }
        count = min(len(row.runs) for row in rows) + 1
        found = []
        for row in rows:
            bases = [number_of.get(run.tags["transfer.fingerprint"]) for run in row.runs]
            base = next((each for each in bases if each is not None), None)
            had, name = (
                {each.seed for each in row.replicates},
                row.runs[0].tags["transfer.configuration"],
            )
            seeds = [
                seed
                for seed in range(self._options.seeds)
                if seed not in had and (name, seed) not in self._tried
            ]
            if base is not None and seeds and len(row.runs) < min(count, self._options.seeds):
                found.append(_Further(base, seeds[0], name))
        return found

    def _has_time(self, bases: Sequence[int]) -> bool:
        sweep = self._sweep
        assert sweep.budget is not None
        needed = self._seconds(bases)
        if needed > sweep.budget.left:
            log.info(
                "another seed of the best %d would take %s, and %s are left",
                len(bases), duration(needed), duration(max(sweep.budget.left, 0.0)),
            )  # fmt: skip
            return False
        return True

    def _seconds(self, bases: Sequence[int]) -> float:
        """What as many jobs like these take that begin anew."""
        took = []
        for number in bases:
            job = self._sweep.expected.jobs[str(number)]
            took.append(self._sweep.pace.seconds(job._replace(done=0), 0, job.epochs) or 0.0)
        at_once = min(self._sweep.expected.at_once or len(bases), len(bases))
        return max(sum(took) / at_once, *took)

    def _add(self, jobs: Sequence[_Further]) -> list[int]:
        """Make these jobs part of the sweep.

        Returns:
            their numbers.
        """
        sweep = self._sweep
        split = [
            [*(each for each in sweep.split[base] if not each.startswith("seed=")), f"seed={seed}"]
            for base, seed, _ in jobs
        ]
        numbers = add_jobs(sweep, self._config, split)
        self._tried |= {(name, seed) for _, seed, name in jobs}
        assert sweep.run is not None and sweep.budget is not None
        tag_sweep(sweep.client, sweep.run, {FURTHER_SEEDS_TAG: str(len(self._tried))})
        log.info(
            "%d finalists over another seed, about %s; of the budget %s are left",
            len(jobs), duration(self._seconds([job.base for job in jobs])),
            duration(max(sweep.budget.left, 0.0)),
        )  # fmt: skip
        return numbers


def counts_of_finalists(rows: int, most: int) -> list[int]:
    """How many of these rows, the best on validation first, may be repeated: all finalists, or
    where there is no time for these, the first two."""
    count = min(rows, most)
    return list(dict.fromkeys(each for each in (count, min(count, 2)) if each))


def is_decided(finalists: Sequence[Row], seeds: int) -> bool:
    """Whether further seeds would tell nothing more of these rows.

    Args:
        finalists: the best on validation first.
        seeds: of each, at most.
    """
    if len(finalists) == 1:
        # Three tell how far it scatters.
        return len(finalists[0].runs) >= min(3, seeds)
    decision = Comparison(finalists).decision
    if decision is None or decision.about != "recipe":
        return False
    return decision.needs in ("nothing", "images")
