"""A search, as the process that drives it sees it: asks Optuna for trials, has them trained, and
tells it what came of them.

Trial number k is job number k of the sweep. What is known of a trial lies in the study, and nowhere
else: so a search that was killed goes on as one that was not.
"""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from transfer.compare.criterion import CRITERIA
from transfer.config import typed_config
from transfer.sweep import state
from transfer.sweep.compose import compose_jobs, jobs_at_once
from transfer.sweep.outcomes import Outcome, forget_outcomes, note_outcome, read_outcomes
from transfer.sweep.race.runners import remove_checkpoints
from transfer.sweep.search.study import SharedStudy
from transfer.sweep.search.trials import (
    CHOSEN,
    ERROR,
    JOB,
    PRUNED,
    REPEATS,
    RETRY_OF,
    SECONDS,
    best_until,
    planned_jobs,
    record_of,
    retried,
    typical_seconds,
)
from transfer.sweep.turns import prepare_in_turn
from transfer.system import interrupt
from transfer.system.errors import ConfigError, first_line, is_for_people
from transfer.tracking.dropped import Dropped, drop_run
from transfer.tracking.previous_run import run_folder
from transfer.tracking.searches import log_search
from transfer.tracking.sweep_run import PlannedJob, list_jobs

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, TrialState

    from transfer.sweep.driver import Sweep

log = logging.getLogger(__name__)


class Search:
    """The trials of a sweep, batch by batch.

    Args:
        sweep: that was planned as a search, and is open.
        config: of the sweep, Hydra's own part included.
    """

    def __init__(self, sweep: Sweep, config: DictConfig) -> None:
        import optuna

        assert sweep.search is not None
        self._sweep, self._plan, self._config = sweep, sweep.search, config
        self._study = SharedStudy(sweep.folder, state.read_pruning(sweep.folder))
        self._states = optuna.trial.TrialState
        self._at_once = config.hydra.sweeper.max_batch_size or jobs_at_once(config) or 1
        # Those that an earlier command has begun.
        self._begun = [each.number for each in self._study.trials(self._states.RUNNING)]
        # Of trials that wait for another one of the same batch: the number of that.
        self._twins: dict[int, int] = {}
        self._interrupted = False
        self._refused_by_store = False
        known = len(self._study.trials()) - len(self._begun)
        if known:
            log.info("going on after %d trials of %d", known, self._plan.options.n_trials)
        self._retry_failed()

    def next_batch(self) -> dict[int, list[str]]:
        """The overrides of the trials to train next, by their numbers; none where the search is
        over, or was interrupted."""
        batch: dict[int, list[str]] = {}
        while len(batch) < self._at_once and not (self._interrupted or interrupt.requested()):
            if self._begun:
                number = self._begun.pop(0)
                chosen = self._study.chosen(number, self._plan.options, self._plan.space)
            elif self._is_one_left() and self._has_time():
                number, chosen = self._study.ask(self._plan.options, self._plan.space)
            else:
                break
            overrides = self._plan.space.overrides(chosen)
            if self._make_ready(number, chosen, overrides):
                batch[number] = overrides
        self._publish()
        forget_outcomes(self._sweep.folder, batch)
        return batch

    def tell(self, scores: Mapping[int, Any]) -> None:
        """What came of the trials of a batch.

        Args:
            scores: the number that each job gave, by its own; NaN where it failed.
        """
        outcomes = read_outcomes(self._sweep.folder)
        for number, score in scores.items():
            outcome = outcomes.get(number)
            if outcome is None:
                lost = "it ended without a word; its log may tell why"
                self._fail(number, " ".join(self._study.trial(number).user_attrs[CHOSEN]), lost)
            elif outcome.status == "paused" and PRUNED in self._study.trial(number).user_attrs:
                self._prune(number, outcome)
            elif outcome.status in ("interrupted", "paused"):
                # It goes on with the same command and resume=true.
                self._interrupted = True
            elif outcome.status == "finished" and math.isfinite(score):
                self._study.note(number, SECONDS, outcome.seconds)
                self._finish(number, float(score))
            else:
                self._fail(number, outcome.overrides, outcome.error or "its score is no number")
        for number, twin in list(self._twins.items()):
            if self._tell_as(number, twin):
                del self._twins[number]
        self._publish()

    def _retry_failed(self) -> None:
        """Those that failed before are asked for once more, as any sweep that goes on retries what
        failed; each counts once."""
        before = retried(self._study)
        for trial in self._study.trials(self._states.FAIL):
            if trial.number not in before:
                self._study.optuna.enqueue_trial(trial.params, user_attrs={RETRY_OF: trial.number})

    def _is_one_left(self) -> bool:
        """Whether there is a trial to ask for."""
        if self._study.trials(self._states.WAITING):
            return True
        counted = len(self._study.trials()) - len(retried(self._study))
        return counted < self._plan.options.n_trials

    def _has_time(self) -> bool:
        """Whether what is left of the budget suffices for a trial more; says so where it does not,
        and leaves out those that are not begun."""
        budget = self._sweep.budget
        if budget is None or (budget.left > 0 and typical_seconds(self._study) <= budget.left):
            return True
        first = len(self._study.trials())
        missing = self._plan.options.n_trials - (first - len(retried(self._study)))
        log.info("%d trials are left out for want of time", missing)
        for number in range(first, first + missing):
            note_outcome(self._sweep.folder, number, Outcome("", "left out"))
        return False

    def _make_ready(self, number: int, chosen: dict[str, str], overrides: list[str]) -> bool:
        """Whether a trial is to be trained: not one that is refused, nor one that trains what
        another has trained."""
        trial, words = self._study.trial(number), " ".join(overrides)
        self._study.note(number, CHOSEN, [f"{key}={text}" for key, text in chosen.items()])
        try:
            [(_, composed)] = compose_jobs(self._config, [overrides])
            config = self._sweep.auto.pin(typed_config(composed))
            [(_, job)] = prepare_in_turn([(config, overrides)])
        except Exception as error:
            if not is_for_people(error):
                log.error("%s", "".join(traceback.format_exception(error)))
            self._fail(number, words, first_line(error))
            return False
        planned = PlannedJob(job.name, words, job.fingerprint)
        self._study.note(number, JOB, vars(planned))
        if PRUNED in trial.user_attrs:
            # Its process was killed before this one heard of it.
            self._prune(number, Outcome(words, "paused"))
            return False
        twin = self._twin(number, job.fingerprint)
        if twin is None:
            return True
        self._study.note(number, REPEATS, twin)
        log.info("trial %d trains what trial %d trains: left out", number, twin)
        if not self._tell_as(number, twin):
            self._twins[number] = twin
        return False

    def _twin(self, number: int, fingerprint: str) -> int | None:
        """The first other trial of the same job that did not fail."""
        for trial in self._study.trials():
            alike = trial.user_attrs.get(JOB, {}).get("fingerprint") == fingerprint
            failed = trial.state == self._states.FAIL
            if alike and not failed and trial.number != number and REPEATS not in trial.user_attrs:
                return trial.number
        return None

    def _tell_as(self, number: int, twin: int) -> bool:
        """Tell of a trial what another has given; False where that is not over."""
        trial = self._study.trial(twin)
        if trial.state == self._states.COMPLETE and trial.value is not None:
            self._finish(number, trial.value)
        elif trial.state == self._states.PRUNED:
            self._tell(number, self._states.PRUNED)
        elif trial.state == self._states.FAIL:
            words = " ".join(self._study.trial(number).user_attrs[CHOSEN])
            self._fail(number, words, f"as trial {twin}, which is the same")
        else:
            return False
        return True

    def _finish(self, number: int, score: float) -> None:
        self._study.optuna.tell(number, score)
        best = self._study.optuna.best_trial
        log.info(
            "trial %d, %d of %d: %s; the best so far: trial %d, %s",
            *(number, self._told(), self._plan.options.n_trials),
            *(self._shown(score), best.number, self._shown(best.value)),
        )

    def _fail(self, number: int, overrides: str, reason: str) -> None:
        """Tell the study and the end of the sweep, which lists it."""
        self._study.note(number, ERROR, reason)
        self._tell(number, self._states.FAIL)
        outcome = Outcome(overrides, "failed", reason)
        note_outcome(self._sweep.folder, number, outcome)
        log.warning("trial %d (%s) failed: %s", number, overrides, reason)

    def _tell(self, number: int, ended: TrialState) -> None:
        self._study.optuna.tell(number, state=ended)

    def _prune(self, number: int, outcome: Outcome) -> None:
        """Drop the run of a trial that has paused, for the pruner told it to."""
        trial = self._study.trial(number)
        dropped = self._dropped(trial)
        log.info(
            "trial %d, %d of %d: %s", number, self._told() + 1, self._plan.options.n_trials, dropped
        )
        fingerprint = trial.user_attrs[JOB]["fingerprint"]
        folder = run_folder(self._sweep.client, fingerprint, outcome.folder)
        job_folder = Path(outcome.folder) if outcome.folder else self._sweep.folder
        if folder is not None and drop_run(
            self._sweep.client, folder, dropped, job_folder=job_folder
        ):
            remove_checkpoints(folder)
        self._tell(number, self._states.PRUNED)
        ended = Outcome(outcome.overrides, "dropped", folder=outcome.folder)
        note_outcome(self._sweep.folder, number, ended)

    def _dropped(self, trial: FrozenTrial) -> Dropped:
        """How far a trial is behind the best of the others at the epoch where it was pruned."""
        epoch = int(trial.user_attrs[PRUNED])
        own, most, best = best_until(trial, epoch) or 0.0, -math.inf, trial
        for other in self._study.trials():
            score = best_until(other, epoch)
            if other.number != trial.number and score is not None and score > most:
                most, best = score, other
        behind = max(most - own, 0.0) if math.isfinite(most) else 0.0
        loss = CRITERIA[self._plan.select_by].sign < 0
        words = f"{behind:.3g} nats" if loss else f"{100 * behind:.1f} points"
        name = best.user_attrs.get(JOB, {}).get("name", "")
        return Dropped(epoch, words, f"{name} (trial {best.number})", own)

    def _told(self) -> int:
        over = (self._states.COMPLETE, self._states.PRUNED, self._states.FAIL)
        return len(self._study.trials(*over)) - len(retried(self._study))

    def _shown(self, score: float | None) -> str:
        assert score is not None
        if self._plan.select_by == "loss":
            return f"loss {-score:.3f}"
        return f"{100 * score:.1f} %"

    def _publish(self) -> None:
        """Let the store know of all trials so far, for its report; a store that does not answer
        learns of them later."""
        assert self._sweep.run is not None
        client, run = self._sweep.client, self._sweep.run
        try:
            list_jobs(client, run, planned_jobs(self._study))
            log_search(client, run.run_id, record_of(self._study, self._plan))
            self._refused_by_store = False
        except ConfigError as error:
            if not self._refused_by_store:
                log.warning("%s", error)
            self._refused_by_store = True
