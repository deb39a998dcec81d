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
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from transfer.sweep import state
from transfer.sweep.budget import FOR_SEEDS
from transfer.sweep.choose.attempt_costs import AttemptCosts
from transfer.sweep.choose.choice import Attempt
from transfer.sweep.choose.halfway import Halfway
from transfer.sweep.choose.menu import Menu
from transfer.sweep.choose.option import Name, Option, Unfinished, name_of
from transfer.sweep.choose.outlook import Outlook
from transfer.sweep.choose.so_far import budget_for, may_go_on, merits_of
from transfer.sweep.choose.tunings import neighbours
from transfer.sweep.choose.typed_overrides import sort_overrides
from transfer.sweep.choose.worth import Prospect, choose_worthy, expected_best
from transfer.sweep.expected import duration
from transfer.sweep.outcomes import read_outcomes
from transfer.sweep.race.more_jobs import add_jobs, launch_to_the_end
from transfer.sweep.race.runners import Runners
from transfer.system.errors import ConfigError, first_line
from transfer.tracking.sweep_run import tag_sweep, tries_tags

if TYPE_CHECKING:
    from transfer.sweep.driver import Sweep

# What saves less of the errors of the best is not worth trying.
_LEAST_SAVED = 0.01
# How a job of the grid ends that has not come to its end.
_STOPPED = {"paused", "dropped", "out of time"}

log = logging.getLogger(__name__)


class Attempts:
    """Gives the jobs of what is tried after the race.

    Args:
        sweep: whose race is over.
        config: of the sweep, Hydra's own part included.
    """

    def __init__(self, sweep: Sweep, config: DictConfig) -> None:
        assert sweep.choice is not None
        self._sweep, self._config, self._choice = sweep, config, sweep.choice
        self._typed, self._menu = sort_overrides(config), Menu.read(sweep.choice.menu)
        # What was begun, each with the numbers of its jobs; what an earlier command has tried and
        # this one has not taken up; and what all have tried that is no part of the grid.
        self._begun = list[tuple[Attempt, Sequence[int]]]()
        self._again, self._tried = list(sweep.choice.tried), list(sweep.choice.tried)
        self._waiting = dict[Name, Unfinished]()
        self._stopped = dict[Name, Unfinished]()
        # Those of them that had no time, each with where it waits.
        self._halfway = dict[Name, Halfway]()
        # The numbers of the jobs that were launched last, and of all that followed the race.
        self._batch, self._launched = list[int](), list[int]()
        self._hopeless = set[Name]()
        outcomes, first = read_outcomes(sweep.folder), 0
        for each in sweep.choice.grid:
            numbers = range(first, first + len(each.jobs))
            first += len(each.jobs)
            # Of jobs that train the same only one is launched.
            trained = [number for number in numbers if str(number) not in sweep.repeats.of]
            ends = {outcomes[number].status for number in trained if number in outcomes}
            ends.discard("not repeated")
            there = Unfinished(each.epochs, trained)
            if ends == {"left out"}:
                self._waiting[name_of(each.candidate, each.overrides)] = there
            else:
                self._begun.append((each, trained))
                if ends and ends <= _STOPPED:
                    name = name_of(each.candidate, each.overrides)
                    self._stopped[name] = there
                    if (halfway := Halfway.of(sweep, trained)) is not None:
                        self._halfway[name] = halfway

    def next_batch(self, *, seeds_follow: bool) -> list[int]:
        """The numbers of the jobs to launch next; none where nothing is worth trying, there is no
        time, or the sweep was interrupted.

        Args:
            seeds_follow: whether time is kept for further seeds. Where none is, for these have had
                theirs, it is told why there is nothing, here and in the report.
        """
        ended, self._batch = self._batch, []
        if not may_go_on(self._sweep, ended):
            return []
        while self._again:
            if self._take_up(self._again.pop(0)):
                return self._batch
        while chosen := self._choose(seeds_follow=seeds_follow):
            for each in chosen:
                attempt = self._menu.attempt(*each, self._typed)
                if (numbers := self._numbers(attempt)) is not None:
                    self._launch(attempt, numbers, numbers)
            if self._batch:
                return self._batch
        return []

    def _take_up(self, attempt: Attempt) -> bool:
        """Go on with what an earlier command has tried; whether there is something to launch:
        whatever is finished ends at once, and whatever is not goes on where there is time."""
        sweep, numbers = self._sweep, self._numbers(attempt)
        assert sweep.budget is not None
        if numbers is None:
            return False
        going = list(numbers)
        if sweep.budget.left <= 0:
            jobs, runners = sweep.expected.jobs, Runners(sweep)
            going = [each for each in numbers if jobs[str(each)].done >= jobs[str(each)].epochs]
            for each in set(numbers) - set(going):
                (runners.keep if jobs[str(each)].done else runners.leave_out)(each)
        if going:
            self._launch(attempt, numbers, going)
        else:
            there = Unfinished(attempt.epochs, numbers)
            self._waiting[name_of(attempt.candidate, attempt.overrides)] = there
        return bool(going)

    def _numbers(self, attempt: Attempt) -> Sequence[int] | None:
        """Those of a configuration's jobs, which are made part of the sweep where they are not;
        None where they cannot run."""
        sweep, name = self._sweep, name_of(attempt.candidate, attempt.overrides)
        if (there := self._waiting.pop(name, None)) is not None:
            return there.numbers
        if (there := self._stopped.pop(name, None)) is not None:
            # Dropped for want of time, or for another that has not come to its end: they go on, or
            # begin anew.
            self._halfway.pop(name, None)
            split = [list(each) for each in sweep.split]
            for number in there.numbers:
                split[number] += [] if "resume=true" in split[number] else ["resume=true"]
            sweep.split = split
            return there.numbers
        try:
            split = [[*self._typed.fixed, *each] for each in attempt.jobs]
            return add_jobs(sweep, self._config, split)
        except ConfigError as error:
            log.info("cannot be tried: %s", first_line(error))
            self._hopeless.add(name)
            return None

    def _launch(self, attempt: Attempt, numbers: Sequence[int], going: Sequence[int]) -> None:
        """Make jobs of a configuration part of the next batch.

        Args:
            numbers: of all its jobs.
            going: of those to launch.
        """
        sweep = self._sweep
        self._batch = [*self._batch, *going]
        launch_to_the_end(sweep, self._batch)
        name = name_of(attempt.candidate, attempt.overrides)
        # What goes on was begun before.
        others = [
            (own, at) for own, at in self._begun if name_of(own.candidate, own.overrides) != name
        ]
        self._begun = [*others, (attempt, numbers)]
        self._launched += going
        known = [*self._choice.grid, *self._tried]
        if name not in {name_of(each.candidate, each.overrides) for each in known}:
            # A command that goes on with the sweep tries the same, first.
            self._tried.append(attempt)
            sweep.choice = replace(self._choice, tried=self._tried)
            state.note(sweep.folder, sweep.choice)

    def _choose(self, *, seeds_follow: bool) -> list[Option]:
        """What to launch at once."""
        sweep = self._sweep
        assert sweep.budget is not None
        outlook = Outlook(self._menu.candidates, self._known())
        costs_of = AttemptCosts(sweep.pace, self._menu, self._config, self._typed)
        costs_of.stored = [each for each, _ in self._begun]
        options = self._options(outlook.in_order)
        prospects, costs = list[Prospect](), list[float]()
        for each in options:
            halfway, prospect = self._halfway.get(each.name), outlook.prospect(*each)
            prospects.append(prospect if halfway is None else halfway.improve(prospect))
            costs.append(costs_of.seconds(*each) if halfway is None else halfway.seconds)
        at_once = max(sweep.expected.at_once, 1)
        kept = self._kept_for_seeds(outlook, costs_of)
        time = sweep.budget.left - (kept if seeds_follow else 0.0)

        def fits(places: Sequence[int]) -> bool:
            names = {options[at].name for at in places}
            own = [costs[at] for at in places]
            return len(names) == len(places) and max(sum(own) / at_once, *own) <= time

        best = outlook.standing
        _, found = choose_worthy(prospects, costs, fits, known=best, least=_LEAST_SAVED)
        chosen = [options[at] for at in found[:at_once]]
        if chosen:
            needed = max(sum(costs[at] for at in found[:at_once]) / at_once, costs[found[0]])
            names = "; ".join(self._told(each) for each in chosen)
            self._say(f"next: {names}, about {duration(needed)}")
            return chosen
        if seeds_follow:
            return []
        merit = best[0].merit if best else -math.inf
        gains = [expected_best([*best, each]) - merit for each in prospects]
        if worthy := [at for at, gain in enumerate(gains) if gain > _LEAST_SAVED]:
            # What the least more time would buy.
            at = max(worthy, key=lambda at: gains[at] / costs[at])
            self._end(options[at], costs[at], kept)
        else:
            self._end()
        return []

    def _known(self) -> list[tuple[Attempt, float]]:
        """What has finished, with its merit: the mean over its jobs, as far as they have. Of what
        is repeated one may race alone."""
        found, merits = [], merits_of(self._sweep)
        for each, numbers in self._begun:
            jobs = [self._sweep.jobs[number].fingerprint for number in numbers]
            if finished := [merits[job] for job in jobs if job in merits]:
                found.append((each, statistics.mean(finished)))
        return found

    def _options(self, finished: Sequence[Attempt]) -> list[Option]:
        """All that was not begun, with each number of epochs; what of the grid had no time to go
        on; and where nothing has finished, all of it that has stopped on its way.

        Args:
            finished: the best first.
        """
        begun = {name_of(each.candidate, each.overrides) for each, _ in self._begun}
        begun -= self._halfway.keys()
        if not finished:
            begun -= self._stopped.keys()
        offered = self._menu.options(self._config, self._typed)
        for best in finished[:1]:
            offered += [(best.candidate, each) for each in neighbours(best.overrides, best.kind)]
        found = list[Option]()
        for place, tuning in offered:
            name = name_of(place, tuning.overrides)
            if name not in begun and name not in self._hopeless:
                there = self._waiting.get(name) or self._stopped.get(name)
                counts = self._menu.epochs if there is None else [there.epochs]
                found += [Option(place, tuning, count) for count in counts]
        return found

    def _kept_for_seeds(self, outlook: Outlook, costs: AttemptCosts) -> float:
        """Seconds for another seed of the best two, or a part of the time where that is less; none
        for a single one, which a rival says more of."""
        assert self._sweep.budget is not None
        best = outlook.in_order[:2]
        if len(best) < 2:
            return 0.0
        needed = sum(costs.again(each) for each in best) / max(self._sweep.expected.at_once, 1)
        return min(needed, FOR_SEEDS * self._sweep.budget.seconds)

    def _told(self, option: Option) -> str:
        candidate, tuning = self._menu.candidates[option.place], option.tuning
        shown = [each for each in tuning.overrides if not each.startswith("frozen_features=")]
        epochs = f"{option.epochs} epochs"
        if (halfway := self._halfway.get(option.name)) is not None:
            epochs += f", on from epoch {max(halfway.epochs)}"
        return f"{candidate.label} {' '.join(shown)}, {epochs}"

    def _say(self, line: str) -> None:
        assert self._sweep.budget is not None
        left = duration(max(self._sweep.budget.left, 0.0))
        log.info("%s; of the budget %s are left", line, left)

    def _end(self, option: Option | None = None, seconds: float = 0.0, kept: float = 0.0) -> None:
        """Say why nothing more is tried, here and in the report.

        Args:
            option: what would be tried next, if there is something.
            seconds: that it takes.
            kept: seconds that would be kept for further seeds then.
        """
        sweep, following, takes, budget = self._sweep, "", "", ""
        assert sweep.run is not None
        if option is not None:
            # What waits at a rung is counted with all that does.
            needed = kept + (0.0 if option.name in self._halfway else seconds)
            following, takes = self._told(option), duration(seconds)
            budget = budget_for(sweep, needed)
            self._say(f"no time for {following}, about {takes}; budget={budget} has some for it")
        else:
            self._say("nothing else is worth trying")
        merits = merits_of(sweep)
        count = sum(sweep.jobs[number].fingerprint in merits for number in self._launched)
        tag_sweep(sweep.client, sweep.run, tries_tags(count, following, takes, budget))
