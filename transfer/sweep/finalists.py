"""The best configurations of a sweep over further seeds, until the verdict between them is in.

The verdict is that of the report: of the configuration that validation chose and its rival, as
recipes. So the test images say when it is enough, as they would to a reader of the report; they
never say which one is chosen.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from transfer.compare.comparison import Comparison
from transfer.compare.decision import Decision
from transfer.compare.rows import Row, build_rows
from transfer.config import typed_config
from transfer.config.halving import ChooseConfig, sweeper_options
from transfer.sweep import state
from transfer.sweep.compose import compose_jobs
from transfer.sweep.expected import duration
from transfer.sweep.turns import prepare_in_turn
from transfer.system import interrupt
from transfer.tracking.artifacts import NO_HISTORY, Predictions, read_predictions
from transfer.tracking.find import RunRecord, fetch_artifact
from transfer.tracking.selection import select
from transfer.tracking.store import answering
from transfer.tracking.sweep_run import PlannedJob, list_jobs

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

log = logging.getLogger(__name__)

# Of being the best: who has less of a chance is no finalist.
_CHANCE = 0.05


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
        sweep, outcomes = self._sweep, state.read_outcomes(self._sweep.folder)
        for number in self._batch:
            if number in outcomes:
                sweep.pace.learn(sweep.expected.jobs[str(number)], outcomes[number])
        ends = {each.status for each in outcomes.values()}
        if interrupt.requested() or "interrupted" in ends or sweep.budget is None:
            return []
        rows = self._rows()
        if not rows:
            return []
        decision = Comparison(rows).decision
        if decision is None or self._is_decided(rows, decision):
            return []
        for finalists in self._choices(rows, decision):
            jobs = self._further(rows, finalists)
            if jobs and self._has_time([base for base, _ in jobs]):
                self._batch = self._add(jobs)
                return self._batch
        return []

    def _rows(self) -> list[Row]:
        """What has finished, as the report will have it."""
        client, run = self._sweep.client, self._sweep.run
        if run is None:
            return []

        def answers(record: RunRecord) -> Predictions | None:
            with TemporaryDirectory() as folder:
                found = fetch_artifact(client, record, "predictions.npz", Path(folder))
                return read_predictions(found)

        with answering(client.tracking_uri, "read"):
            return build_rows(select(client, run.run_id).runs, lambda _: NO_HISTORY, answers)

    def _is_decided(self, rows: Sequence[Row], decision: Decision) -> bool:
        """Whether further seeds would tell nothing more."""
        if len(rows) == 1:
            # Three tell how far it scatters.
            return len(rows[0].runs) >= min(3, self._options.seeds)
        repeated = decision.about == "recipe"
        return repeated and decision.needs in ("nothing", "images")

    def _choices(self, rows: Sequence[Row], decision: Decision) -> list[list[int]]:
        """Who may be repeated: all finalists, or where there is no time for these, the chosen one
        and its rival."""
        if decision.rival is None:
            return [[0]]
        chances = decision.probability_best
        others = sorted(range(1, len(chances)), key=lambda at: -_known(chances[at]))
        near = [at for at in others if _known(chances[at]) >= _CHANCE or at == decision.rival]
        finalists = [0, *near][: self._options.finalists]
        return [finalists, [0, decision.rival]]

    def _further(self, rows: Sequence[Row], finalists: Sequence[int]) -> list[tuple[int, int]]:
        """The next seed of each finalist that has the fewest, as the number of a job that it
        repeats, and that seed."""
        number_of = {job.fingerprint: number for number, job in enumerate(self._sweep.jobs)}
        count = min(len(rows[at].runs) for at in finalists) + 1
        found = []
        for at in finalists:
            row = rows[at]
            bases = [number_of.get(run.tags["transfer.fingerprint"]) for run in row.runs]
            base = next((each for each in bases if each is not None), None)
            had, name = {each.seed for each in row.replicates}, row.runs[0].tags
            seeds = [
                seed
                for seed in range(self._options.seeds)
                if seed not in had and (name["transfer.configuration"], seed) not in self._tried
            ]
            if base is not None and seeds and len(row.runs) < min(count, self._options.seeds):
                self._tried.add((name["transfer.configuration"], seeds[0]))
                found.append((base, seeds[0]))
        return found

    def _has_time(self, bases: Sequence[int]) -> bool:
        sweep = self._sweep
        assert sweep.budget is not None
        took = []
        for number in bases:
            job = sweep.expected.jobs[str(number)]
            took.append(sweep.pace.seconds(job._replace(done=0), 0, job.epochs) or 0.0)
        at_once = min(sweep.expected.at_once or len(bases), len(bases))
        needed = max(sum(took) / at_once, *took)
        if needed > sweep.budget.left:
            log.info(
                "further seeds would take %s, and %s are left",
                duration(needed), duration(max(sweep.budget.left, 0.0)),
            )  # fmt: skip
            return False
        return True

    def _add(self, jobs: Sequence[tuple[int, int]]) -> list[int]:
        """Make these jobs part of the sweep.

        Returns:
            their numbers.
        """
        sweep, first = self._sweep, len(self._sweep.jobs)
        split = [
            [*(each for each in sweep.split[base] if not each.startswith("seed=")), f"seed={seed}"]
            for base, seed in jobs
        ]
        composed = [
            (sweep.auto.pin(typed_config(config)), overrides)
            for overrides, config in compose_jobs(self._config, split)
        ]
        planned = dict[int, PlannedJob]()
        for place, job in prepare_in_turn(composed):
            planned[place] = PlannedJob(job.name, " ".join(split[place]), job.fingerprint)
        numbers = list(range(first, first + len(jobs)))
        expected = dict(sweep.expected.jobs)
        for number, (base, _) in zip(numbers, jobs, strict=True):
            expected[str(number)] = expected[str(base)]._replace(done=0)
        sweep.jobs = [*sweep.jobs, *(planned[place] for place in range(len(jobs)))]
        sweep.split = [*sweep.split, *split]
        sweep.expected = replace(sweep.expected, jobs=expected)
        now = {str(number): expected[str(number)] for number in numbers}
        state.note(sweep.folder, state.Rung(None))
        state.note(sweep.folder, replace(sweep.expected, jobs=now))
        assert sweep.run is not None
        list_jobs(sweep.client, sweep.run, sweep.jobs)
        log.info("%d finalists over another seed", len(jobs))
        return numbers


def _known(chance: float) -> float:
    return 0.0 if math.isnan(chance) else chance
