"""What a sweep that chooses does with the time that its race has left: configurations for which the
plan had none, deeper or otherwise tuned ones of the best candidates, and rates beside the best.

Each next one is what is expected to be worth most of what there is time for, from what was expected
of it before and from what others of its candidate and its kind came to on validation images.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig

from transfer.compare.criterion import criterion_of
from transfer.sweep import state
from transfer.sweep.choice import Try
from transfer.sweep.expected import duration
from transfer.sweep.menu import Menu
from transfer.sweep.more_jobs import add_jobs, launch_to_the_end, learn
from transfer.sweep.outlook import Outlook
from transfer.sweep.try_costs import TryCosts
from transfer.sweep.tunings import Tuning, neighbours
from transfer.sweep.words import sort_words
from transfer.sweep.worth import choose_worthy, expected_best, merit_of
from transfer.system import interrupt
from transfer.system.errors import ConfigError, first_line
from transfer.tracking.find import find_sweep_jobs, find_sweep_run
from transfer.tracking.store import answering
from transfer.tracking.sweep_run import tag_sweep, tries_tags

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

# What adds less to the merit of the best, a hundredth of its errors, is not worth trying.
_LEAST_ADDED = 0.01
# The share of the time that is kept for seeds of the best two, at most.
_FOR_SEEDS = 0.2
# How a job of the grid ends that has not come to its end.
_STOPPED = {"paused", "dropped", "out of time"}

log = logging.getLogger(__name__)


class _Option(NamedTuple):
    place: int
    tuning: Tuning
    epochs: int

    @property
    def name(self) -> tuple[int, tuple[str, ...]]:
        return _name(self.place, self.tuning.overrides)


class Tries:
    """Gives the jobs of what is tried after the race.

    Args:
        sweep: whose race is over.
        config: of the sweep, Hydra's own part included.
    """

    def __init__(self, sweep: Sweep, config: DictConfig) -> None:
        assert sweep.choice is not None and sweep.choice.menu is not None
        self._sweep, self._config, self._choice = sweep, config, sweep.choice
        self._words, self._menu = sort_words(config), Menu.read(sweep.choice.menu)
        # What was begun, each with the numbers of its jobs; and what an earlier command has tried.
        self._begun = list[tuple[Try, Sequence[int]]]()
        self._again = list(sweep.choice.tried)
        self._waiting = dict[tuple[int, tuple[str, ...]], Sequence[int]]()
        self._stopped = dict[tuple[int, tuple[str, ...]], Sequence[int]]()
        self._batch, self._tried = list[int](), 0
        self._hopeless = set[tuple[int, tuple[str, ...]]]()
        outcomes, first = state.read_outcomes(sweep.folder), 0
        for each in sweep.choice.grid:
            numbers = range(first, first + len(each.jobs))
            first += len(each.jobs)
            # Of jobs that train the same only one is launched.
            trained = [number for number in numbers if str(number) not in sweep.repeats.of]
            ends = [outcomes[number].status for number in trained if number in outcomes]
            if ends and set(ends) == {"left out"}:
                self._waiting[_name(each.candidate, each.overrides)] = trained
            else:
                self._begun.append((each, trained))
                if ends and set(ends) <= _STOPPED:
                    self._stopped[_name(each.candidate, each.overrides)] = trained

    def next_batch(self) -> list[int]:
        """The numbers of the jobs to launch next; none where nothing is worth trying, there is no
        time, or the sweep was interrupted."""
        sweep = self._sweep
        learn(sweep, self._batch)
        self._batch = []
        ends = {each.status for each in state.read_outcomes(sweep.folder).values()}
        if interrupt.requested() or "interrupted" in ends or sweep.budget is None:
            return []
        while self._again and sweep.budget.left > 0:
            # Whatever is finished ends at once, and whatever is not goes on.
            if self._launch(self._again.pop(0)):
                return self._batch
        while chosen := self._choose():
            for each in chosen:
                self._launch(self._menu.attempt(*each, self._words))
            if self._batch:
                return self._batch
        return []

    def _launch(self, attempt: Try) -> bool:
        """Make the jobs of a configuration part of the next batch; whether they can run."""
        sweep, name = self._sweep, _name(attempt.candidate, attempt.overrides)
        numbers = self._waiting.pop(name, None)
        if numbers is None and (numbers := self._stopped.pop(name, None)) is not None:
            # Dropped for another that has not come to its end: they go on, or begin anew.
            split = [list(each) for each in sweep.split]
            for number in numbers:
                split[number].append("resume=true")
            sweep.split = split
        try:
            if numbers is None:
                split = [[*self._words.fixed, *each] for each in attempt.jobs]
                numbers = add_jobs(sweep, self._config, split)
        except ConfigError as error:
            log.info("cannot be tried: %s", first_line(error))
            self._hopeless.add(name)
            return False
        self._batch = [*self._batch, *numbers]
        launch_to_the_end(sweep, self._batch)
        self._begun.append((attempt, numbers))
        self._tried += len(numbers)
        # A command that goes on with the sweep tries the same, first.
        of_grid = {_name(each.candidate, each.overrides) for each in self._choice.grid}
        tried = [
            each for each, _ in self._begun if _name(each.candidate, each.overrides) not in of_grid
        ]
        sweep.choice = replace(self._choice, tried=[*tried, *self._again])
        state.note(sweep.folder, sweep.choice)
        return True

    def _choose(self) -> list[_Option]:
        """What to launch at once; tells why where there is nothing."""
        sweep, known = self._sweep, self._known()
        assert sweep.budget is not None
        outlook = Outlook(self._menu.candidates, known)
        costs_of = TryCosts(sweep.pace, self._menu, self._config, self._words)
        costs_of.stored = [each for each, _ in self._begun]
        options = self._options(outlook.in_order)
        prospects = [outlook.prospect(*each) for each in options]
        costs = [costs_of.seconds(*each) for each in options]
        at_once = max(sweep.expected.at_once, 1)
        time = sweep.budget.left - self._kept_for_seeds(outlook, costs_of)

        def fits(places: Sequence[int]) -> bool:
            names = {options[at].name for at in places}
            needed = sum(costs[at] for at in places) / at_once
            alone = max(costs[at] for at in places)
            return len(names) == len(places) and max(needed, alone) <= time

        best = outlook.standing
        _, found = choose_worthy(prospects, costs, fits, known=best, least=_LEAST_ADDED)
        chosen = [options[at] for at in found[:at_once]]
        if chosen:
            needed = max(sum(costs[at] for at in found[:at_once]) / at_once, costs[found[0]])
            names = "; ".join(self._told(each) for each in chosen)
            self._say(f"next: {names}, about {duration(needed)}")
            return chosen
        merit = best[0].merit if best else -math.inf
        gains = [expected_best([*best, each]) - merit for each in prospects]
        worthy = [at for at, gain in enumerate(gains) if gain > _LEAST_ADDED]
        if worthy:
            # What the least more time would buy.
            at = max(worthy, key=lambda at: gains[at] / costs[at])
            self._end(
                f"no time for {self._told(options[at])}, about {duration(costs[at])}",
                self._told(options[at]),
                costs[at],
            )
        else:
            self._end("nothing else is worth trying")
        return []

    def _known(self) -> list[tuple[Try, float]]:
        """What has finished, with its merit on validation images: the mean over its jobs."""
        sweep = self._sweep
        assert sweep.run is not None
        with answering(sweep.client.tracking_uri, "read"):
            runs = find_sweep_jobs(sweep.client, find_sweep_run(sweep.client, sweep.run.run_id))
        criterion = criterion_of(runs)
        merits = dict[str, float]()
        for run in runs:
            score = run.metrics.get(criterion.validation)
            if run.finished and score is not None:
                error = 1 - score if criterion.sign > 0 else score
                merits[run.tags["transfer.fingerprint"]] = merit_of(error)
        found = []
        for each, numbers in self._begun:
            own = [merits.get(sweep.jobs[number].fingerprint) for number in numbers]
            finished = [merit for merit in own if merit is not None]
            if finished and len(finished) == len(own):
                found.append((each, statistics.mean(finished)))
        return found

    def _options(self, finished: Sequence[Try]) -> list[_Option]:
        """All that was not begun, with each number of epochs; and where nothing has finished, what
        of the grid has stopped on its way.

        Args:
            finished: the best first.
        """
        begun = {_name(each.candidate, each.overrides) for each, _ in self._begun}
        if not finished:
            begun -= self._stopped.keys()
        offered = self._menu.options(self._config, self._words)
        for best in finished[:1]:
            offered += [(best.candidate, each) for each in neighbours(best.overrides, best.kind)]
        found = list[_Option]()
        for place, tuning in offered:
            name = _name(place, tuning.overrides)
            if name not in begun and name not in self._hopeless:
                counts = self._menu.epochs
                if name in self._waiting or name in self._stopped:
                    # Its jobs are there, with the epochs of the grid.
                    counts = [self._choice.grid[0].epochs]
                found += [_Option(place, tuning, count) for count in counts]
        return found

    def _kept_for_seeds(self, outlook: Outlook, costs: TryCosts) -> float:
        """Seconds for another seed of the best two, or a part of the time where that is less."""
        assert self._sweep.budget is not None
        best = outlook.in_order[:2]
        needed = sum(costs.again(each) for each in best) / max(self._sweep.expected.at_once, 1)
        return min(needed, _FOR_SEEDS * self._sweep.budget.seconds)

    def _told(self, option: _Option) -> str:
        candidate, tuning = self._menu.candidates[option.place], option.tuning
        shown = [each for each in tuning.overrides if not each.startswith("frozen_features=")]
        return f"{candidate.label} {' '.join(shown)}, {option.epochs} epochs"

    def _say(self, line: str) -> None:
        assert self._sweep.budget is not None
        left = duration(max(self._sweep.budget.left, 0.0))
        log.info("%s; of the budget %s are left", line, left)

    def _end(self, why: str, names: str = "", seconds: float = 0.0) -> None:
        """Say why nothing more is tried, here and in the report."""
        sweep = self._sweep
        assert sweep.run is not None
        self._say(why)
        tags = tries_tags(self._tried, names, duration(seconds) if names else "")
        tag_sweep(sweep.client, sweep.run, tags)


def _name(place: int, overrides: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    return place, tuple(overrides)
