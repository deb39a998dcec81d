"""A sweep from its opening to its report, in the process that drives it."""

from __future__ import annotations

import logging
import shlex
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from transfer.config.duration import write_duration
from transfer.config.halving import Halving
from transfer.config.search import SearchPlan
from transfer.sweep import state
from transfer.sweep.budget import Budget, closed
from transfer.sweep.choose.choice import Choice
from transfer.sweep.endings import answer_of, exit_interrupted, resume_command, tell_budget
from transfer.sweep.expected import Expected
from transfer.sweep.export.deployment import Deployment, deploy
from transfer.sweep.outcomes import Outcome, forget_outcomes, outcomes_of
from transfer.sweep.pace import Pace
from transfer.sweep.search.search_start import open_search
from transfer.system import interrupt
from transfer.system.disk import DiskError, disk_fault
from transfer.system.errors import ConfigError, first_line, is_for_people
from transfer.system.lock import Lock
from transfer.tracking.delivery import EXIT_CODE, deliver_noted, delivery_command
from transfer.tracking.run_record import PAUSED
from transfer.tracking.selection import select
from transfer.tracking.store import Client, answering
from transfer.tracking.sweep_run import (
    HOPELESS_TAG,
    NOT_REPEATED_TAG,
    UNTRAINED_TAG,
    PlannedJob,
    SweepRun,
    budget_tags,
    end_sweep,
    list_jobs,
    open_sweep,
    tag_sweep,
)

log = logging.getLogger(__name__)

# What came of a sweep's end.
Ending = Literal["reported", "not exported", "no report", "no store"]


@dataclass
class Sweep:
    """A sweep whose jobs have all been checked, in a folder that is locked for it.

    Attributes:
        overrides: the command line's.
        jobs: all of them; none where the sweeper chooses them as it goes.
        repeats: which of them train nothing.
        auto: what `weights=auto` came to.
        resume: whether to go on with an earlier sweep of the same jobs.
        keeps_best: whether jobs lose their weights at the end, with `tracking.weights=best`.
        halving: its rungs, if it has some.
        search: what chooses its jobs, if something does.
        run: the parent run, from `open` to `close`.
        store: `tracking.uri`, where it was given.
        expected: how much work the jobs are, by which the time left is told.
        budget: the time that it may take, if that is limited.
        pace: what its jobs took so far.
        split: the overrides of each job.
        choice: what was chosen to be trained, where that was not told.
        deployment: what it leaves of its networks, if it leaves files.
    """

    client: Client
    folder: Path
    lock: Lock
    overrides: Sequence[str]
    jobs: Sequence[PlannedJob]
    repeats: state.Repeats
    auto: state.AutoWeights
    resume: bool
    keeps_best: bool = False
    halving: Halving | None = None
    search: SearchPlan | None = None
    run: SweepRun | None = None
    store: str | None = None
    expected: Expected = field(default_factory=lambda: Expected({}))
    budget: Budget | None = None
    pace: Pace = field(default_factory=Pace)
    split: Sequence[Sequence[str]] = ()
    choice: Choice | None = None
    deployment: Deployment | None = None

    def open(self) -> None:
        """Create the parent run, or take over that of the same jobs.

        Raises:
            ConfigError: another process is running the same sweep, or the store cannot be written.
        """
        # First, for from here on a command that goes on with the sweep looks into this folder.
        state.replace_budget(self.folder, self.budget, self.pace, self.choice)
        forget_outcomes(self.folder)
        if self.halving is not None:
            state.note(self.folder, self.halving)
        else:
            state.forget(self.folder, Halving)
        if self.search is not None:
            self.search = open_search(
                self.client, self.folder, self.overrides, self.search, resume=self.resume
            )
        self.run = open_sweep(
            self.client,
            self.folder,
            self.overrides,
            self.repeats.distinct(self.jobs),
            resume=self.resume,
            weights=self.auto.sources,
        )
        if self.choice is not None and self.choice.hopeless:
            hopeless = {HOPELESS_TAG: ", ".join(self.choice.hopeless)}
            tag_sweep(self.client, self.run, hopeless)
        for each in (self.auto, self.repeats, self.expected, self.run, state.Rung(None)):
            state.note(self.folder, each)

    def end(self) -> None:
        """After the last job: deliver what the store lacks, close and report.

        Ends the process with a code other than 0 where a job failed, or the store lacks something.
        """
        outcomes = outcomes_of(self.folder, self.jobs, self.repeats)
        statuses = {each.status for each in outcomes.values()}
        self._tell_not_repeated(outcomes)
        if interrupt.requested() or "interrupted" in statuses:
            self.close("KILLED")
            exit_interrupted()
        interrupt.workers_ended()
        left = deliver_noted([Path(each.folder) for each in outcomes.values() if each.folder])
        self._keep_best_weights()
        paused = [each for each in outcomes.values() if each.status == "paused"]
        failed = {number: each for number, each in outcomes.items() if each.status == "failed"}

        def tell() -> None:
            if left:
                jobs = f"{len(left)} of {len(outcomes)} jobs are trained, but not all in the store"
                print(f"{jobs}; to deliver the rest: {delivery_command(left)}", file=sys.stderr)
            if failed:
                print(f"\n{len(failed)} of {len(outcomes)} jobs failed:", file=sys.stderr)
                for number, outcome in failed.items():
                    print(f"  {number}  {outcome.overrides}: {outcome.error}", file=sys.stderr)
                print(f"to try them again:\n{resume_command()}", file=sys.stderr)
            elif self.budget is not None:
                tell_budget(self.budget, outcomes.values())
            elif paused:
                jobs = f"{len(paused)} of {len(outcomes)} jobs paused"
                print(f"\n{jobs}; to go on:\n{resume_command()}")

        self._tag_budget(outcomes)
        ending = self.close(
            "FAILED" if failed else PAUSED if paused else "FINISHED", tell, deploys=True
        )
        if failed or ending in ("not exported", "no report"):
            sys.exit(1)
        if left or ending == "no store":
            sys.exit(EXIT_CODE)

    def _tell_not_repeated(self, outcomes: Mapping[int, Outcome]) -> None:
        """Say in the store how many replicates were left out on purpose: they are no jobs of the
        sweep that did not finish."""
        left_out = {number for number, each in outcomes.items() if each.status == "not repeated"}
        if self.run is None or not left_out:
            return
        out = left_out | {int(number) for number in self.repeats.of}
        try:
            begun = [job for number, job in enumerate(self.jobs) if number not in out]
            list_jobs(self.client, self.run, begun)
            tag_sweep(self.client, self.run, {NOT_REPEATED_TAG: str(len(left_out))})
        except ConfigError as error:
            log.warning("the report will tell of replicates as not finished: %s", error)

    def _tag_budget(self, outcomes: Mapping[int, Outcome]) -> None:
        """What the report says of the time that the sweep was given, and of candidates that it has
        not trained."""
        if self.run is None or self.budget is None:
            return
        ends = Counter(each.status for each in outcomes.values())
        short = ends["out of time"], ends["left out"], ends["paused"]
        try:
            tags = budget_tags(write_duration(self.budget.seconds), *short)
            if self.choice is not None:
                begun = [
                    self.split[number]
                    for number, each in outcomes.items()
                    if each.status not in ("left out", "not repeated")
                ]
                untrained = self.choice.untrained(begun)
                tags |= {UNTRAINED_TAG: ", ".join(untrained)} if untrained else {}
            tag_sweep(self.client, self.run, tags)
        except ConfigError as error:
            log.warning("the report will not tell of what was not begun: %s", error)

    def _keep_best_weights(self) -> None:
        if self.run is None or not self.keeps_best:
            return
        from transfer.sweep.best_weights import keep_best_weights

        try:
            with answering(self.client.tracking_uri, "written"):
                removed = keep_best_weights(self.client, self.run.run_id)
            print(f"tracking.weights=best: the weights of {removed} runs were removed")
        except ConfigError as error:
            log.warning("all weights stay: %s", error)

    def close(
        self, status: str, tell: Callable[[], None] = lambda: None, *, deploys: bool = False
    ) -> Ending:
        """End the parent run and write the report of what there is; once. What keeps either from
        it is said, with the command that makes up for it.

        Args:
            tell: called between the two: what else there is to say comes before a report, which
                may fail.
            deploys: whether networks are exported, if that was asked for, so that the report has
                their files.
        """
        run, self.run = self.run, None
        if run is None:
            return "reported"
        try:
            closed = self._close(run, status)
            tell()
            if not closed:
                return "no store"
            exported = not deploys or self._export(run)
            if not self._report(run):
                return "no report"
            return "reported" if exported else "not exported"
        finally:
            # Until then nobody else goes on with it, writes the same files, or disturbs timing.
            self.lock.release()

    def _close(self, run: SweepRun, status: str) -> bool:
        with interrupt.deferred():
            try:
                with answering(self.client.tracking_uri, "written"):
                    if not end_sweep(self.client, run, status):
                        restore = f"mlflow runs restore --run-id {run.run_id}"
                        log.warning(
                            "the sweep was deleted in the store; to have it back: %s", restore
                        )
            except ConfigError as error:
                print(f"{error}: no report yet; once it can:\n{resume_command()}", file=sys.stderr)
                return False
            finally:
                if self.budget is not None:
                    with suppress(DiskError):
                        state.note(self.folder, closed(self.budget))
        return True

    def _export(self, run: SweepRun) -> bool:
        """Whether all files are there that were asked for."""
        if self.deployment is None:
            return True
        try:
            return deploy(self.client, run.run_id, self.deployment)
        except KeyboardInterrupt:
            print(f"interrupted; to go on:\n{resume_command()}", file=sys.stderr)
            sys.exit(interrupt.EXIT_CODE)
        except Exception as error:
            fault = disk_fault(error)
            if fault is None and not is_for_people(error):
                traceback.print_exception(error)
            why = f"not all networks were exported: {fault or first_line(error)}"
            print(f"\n{why}; to try again:\n{resume_command()}", file=sys.stderr)
            return False

    def _report(self, run: SweepRun) -> bool:
        store = [f"tracking_uri={self.store}"] if self.store else []
        again = shlex.join(["python", "experiments/report.py", f"sweep={run.run_id}", *store])
        try:
            # Imported here, for a sweep that begins needs none of what compares its runs.
            from transfer.report.write import write_report

            with answering(self.client.tracking_uri, "read"):
                selection = select(self.client, run.run_id)
            report = write_report(self.client, selection, self.folder)
        except KeyboardInterrupt:
            # The jobs are done: there is nothing else to go on with.
            print(f"interrupted: no report; to make it:\n{again}", file=sys.stderr)
            sys.exit(interrupt.EXIT_CODE)
        except Exception as error:
            # Hydra would make a warning of it.
            if not is_for_people(error):
                traceback.print_exception(error)
            why = f"no report: {first_line(error)}"
            print(f"\n{why}\nto make it (elsewhere: out=FOLDER):\n{again}", file=sys.stderr)
            return False
        here = Path.cwd()
        shown = report.relative_to(here) if report.is_relative_to(here) else report
        if self.choice is not None:
            print(f"\n{answer_of(report)}")
        print(f"\nreport: {shown}", flush=True)
        return True
