"""The plan of `experiment=choose`: from the candidates and the time to the jobs of a sweep.

Each candidate's speed is tried on this machine; a screen of all of them, for which a part of the
time is set aside, drops the hopeless; and what can be tried of the others is fitted to a part of
the time that is left. The rest is for further seeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from transfer.config.duration import write_duration
from transfer.config.halving import ChooseConfig, sweeper_options
from transfer.evaluate.speed import Speed, measure_speed
from transfer.sweep import state
from transfer.sweep.budget import Budget, open_budget
from transfer.sweep.candidates import candidate_of, compose_candidates, count_images, named
from transfer.sweep.choose.choice import Choice
from transfer.sweep.choose.choice_screen import screen_for_choice
from transfer.sweep.choose.early_clock import EarlyClock
from transfer.sweep.choose.grid import (
    Images,
    Room,
    fit_grid,
    race_rungs,
    seconds,
)
from transfer.sweep.choose.menu import Menu
from transfer.sweep.choose.offer import offered
from transfer.sweep.choose.plan_text import plan_text
from transfer.sweep.choose.screen_fit import Pair, TooLongError, fit_screen
from transfer.sweep.choose.tunings import Candidate
from transfer.sweep.choose.typed_jobs import (
    check_typed,
    require_cuts,
    require_stages,
    require_tunings,
)
from transfer.sweep.choose.typed_overrides import TypedOverrides, sort_overrides
from transfer.sweep.compose import jobs_at_once
from transfer.sweep.expected import duration
from transfer.sweep.export.deployment import plan_deployment
from transfer.sweep.screen import as_read, label_of
from transfer.system.errors import ConfigError
from transfer.system.process import age_of_process
from transfer.tracking.store import open_store, store_uri
from transfer.tracking.sweep_run import find_folder_of_words

# The share of the time that a screen is planned to take, and the race's of what is left then.
_SCREEN, _RACE = 0.25, 0.65
# Training images a class that may do where all take too long.
_FEW = 50


def plan_choice(config: DictConfig) -> tuple[Choice, list[list[str]]]:
    """Decide what to train, or find what an earlier command of the same sweep has decided.

    Args:
        config: of the sweep, Hydra's own part included.

    Returns:
        The decision, and the overrides of each job.

    Raises:
        ConfigError: nothing can be chosen from, the time is too short for anything, or a package is
            missing that `deploy` takes.
    """
    # What is missing is told before anything is measured.
    text = OmegaConf.select(config, "budget")
    if text is None:
        raise ConfigError("budget", "null", "is divided here; give it a time, such as 30m")
    plan_deployment(config)
    client = open_store(store_uri(OmegaConf.select(config, "tracking.uri")))
    typed = sort_overrides(config)
    resume = OmegaConf.select(config, "resume")
    if resume:
        folder = find_folder_of_words(client, typed.meant)
        found = None if folder is None else state.read_choice(folder)
        if found is not None:
            print("\n".join(["as planned before:", *found.told]), flush=True)
            return found, _jobs(found, typed, config)
    clock = EarlyClock.of(config, typed)
    former = clock.former() if resume else None
    if resume and former is None:
        print("resume=true: there is no choice in these words yet; it begins anew", flush=True)
    budget = open_budget(text, former=former)
    assert budget is not None
    if OmegaConf.select(config, "preview"):
        choice = _Planner(config, typed, budget, lambda: None).plan()
    else:
        clock.begin(budget)
        try:
            choice = _Planner(config, typed, budget, clock.show_life).plan()
        except ConfigError:
            clock.forget()
            raise
    return choice, _jobs(choice, typed, config)


def _jobs(choice: Choice, typed: TypedOverrides, config: DictConfig) -> list[list[str]]:
    """The overrides of each job of the race, whose first rung the sweeper is given."""
    with read_write(config), open_dict(config):
        config.hydra.sweeper.first_rung = choice.first_rung
    return [[*typed.fixed, *each] for each in choice.jobs]


class _Planner:
    """Plans one sweep.

    Args:
        config: of the sweep.
        typed: what was typed.
        budget: the time that it may take.
        show_life: to be called now and then.
    """

    def __init__(
        self,
        config: DictConfig,
        typed: TypedOverrides,
        budget: Budget,
        show_life: Callable[[], None],
    ) -> None:
        self._show_life = show_life
        self._config, self._typed, self._budget = config, typed, budget
        self._options = sweeper_options(config.hydra.sweeper, ChooseConfig)
        # What else runs on this machine took its part of each second so far.
        self._slow = max(age_of_process() / max(time.process_time(), 0.1), 1.0)
        self._told, self._hopeless = list[str](), list[str]()
        self._sized = typed.has("image_size")
        # What chooses each candidate, by its name.
        self._chosen_by = dict[str, Sequence[str]]()

    def plan(self) -> Choice:
        found = compose_candidates(self._typed.of_screen)
        self._chosen_by = dict(named(each, self._sized) for each in found)
        untried = [candidate_of(each, Speed(0.0, 0.0, 0.0)) for each in found]
        eta, first, keep = self._options.eta, self._options.first_rung, self._options.keep
        room = Room(Images(0, 0, 0), 0.0, eta, first_rung=first, keep=keep)
        self._epochs = check_typed(self._config, self._typed, untried, room)
        for config, candidate in zip(found, untried, strict=True):
            require_stages(config, offered(candidate, self._config, self._typed))
        pairs = list[Pair]()
        for config in found:
            pairs.append((config, measure_speed(config)))
            self._show_life()
        images = count_images(min(found, key=lambda each: each.image_size))
        counted = "1 candidate" if len(pairs) == 1 else f"{len(pairs)} candidates"
        self._say(f"{counted}, {images.all:,} images; budget {self._given}")
        several = [key for key in ("data.fold", "data.seed") if key in self._typed.swept]
        if several and len(pairs) > 1:
            self._say(
                f"the screen sees the first {several[0]} alone: images that other jobs test on are"
                " among those by which it calls candidates hopeless"
            )
        pairs = self._within(self._tunable(pairs), images)
        screened = screen_for_choice(
            [config for config, _ in pairs],
            self._config,
            self._budget,
            show_life=self._show_life,
            say=self._say,
        )
        self._hopeless = [named(each, self._sized)[0] for each in screened.hopeless]
        by_label = {label_of(as_read(config)): (config, speed) for config, speed in pairs}
        candidates = []
        for label, merit in screened.merits.items():
            config, speed = by_label[label]
            seen = label in screened.pass_s
            if seen:
                speed = speed.as_seen(screened.pass_s[label] / (images.train + images.val))
            candidates.append(replace(candidate_of(config, speed), merit=merit, seen=seen))
        return self._grid(candidates, images)

    @property
    def _given(self) -> str:
        return write_duration(self._budget.seconds)

    def _say(self, line: str) -> None:
        self._told.append(line)
        print(line, flush=True)

    def _tunable(self, pairs: Sequence[Pair]) -> list[Pair]:
        """The candidates of which a tuning may be tried."""
        candidates, tune = [candidate_of(*each) for each in pairs], ",".join(self._typed.tunes)
        tunable = require_tunings(candidates, self._config, self._typed)
        for (config, _), each in zip(pairs, candidates, strict=True):
            if each not in tunable:
                self._say(f"left out: {each.label}: has nothing that tune={tune} would train")
            require_cuts(config, offered(each, self._config, self._typed))
        return [pair for pair, each in zip(pairs, candidates, strict=True) if each in tunable]

    def _within(self, pairs: Sequence[Pair], images: Images) -> list[Pair]:
        """The candidates that can be screened in a part of the time."""
        try:
            return fit_screen(
                pairs,
                images,
                _SCREEN * self._budget.left,
                slow=self._slow,
                may_shrink=not self._sized,
                say=self._say,
            )
        except TooLongError as error:
            what = f"to look at all images once takes {duration(error.seconds)}"
            self._refuse(what, error.seconds / _SCREEN)

    def _grid(self, candidates: Sequence[Candidate], images: Images) -> Choice:
        options = [(each, offered(each, self._config, self._typed)) for each in candidates]
        left = self._budget.left
        room = Room(
            images,
            _RACE * left / self._typed.repeats,
            self._options.eta,
            max(jobs_at_once(self._config), 1),
            self._slow,
            self._options.first_rung,
            self._epochs.frozen,
            self._options.keep,
        )
        each_one = [(candidate, tuning) for candidate, listed in options for tuning in listed]
        counts = [each for each in self._epochs.counts if race_rungs(each_one, room, each)]
        epochs, chosen = fit_grid(options, room, counts)
        if not chosen:
            least = min(seconds(*each, room, counts[-1]) for each in each_one)
            what = f"{counts[-1]} epochs of the fastest candidate take {duration(least)}"
            self._refuse(what, least / _RACE)
        menu = Menu(candidates, room, counts)
        place_of = {each.label: place for place, each in enumerate(candidates)}
        grid = [
            menu.attempt(place_of[each.candidate.label], each.tuning, epochs, self._typed)
            for each in chosen
        ]
        for line in plan_text(chosen, grid, left, room, self._typed.repeats):
            self._say(line)
        trained = {each.candidate.label for each in chosen}
        none = [each.label for each in candidates if each.label not in trained]
        if none:
            self._say(f"  not in the race: {', '.join(none)}")
        jobs = [job for each in grid for job in each.jobs]
        planned = menu.planned(self._config, self._typed)
        tried = [(each.candidate, each.tuning) for each in chosen]
        first = race_rungs(tried, room, epochs)[0]
        spent = self._budget.spent
        return Choice(
            jobs, self._told, planned, grid, menu.write(), first, spent=spent,
            candidates=self._chosen_by, hopeless=self._hopeless,
        )  # fmt: skip

    def _refuse(self, what: str, seconds: float) -> NoReturn:
        """Say what would do where there is no time for anything.

        Args:
            what: takes too long.
            seconds: that it would need to be left.
        """
        gone = self._budget.used
        needed = write_duration(1.5 * (gone + self._budget.report + seconds))
        problem = f"too short for anything: {what}, and {duration(gone)} are gone"
        problem += f"; give budget={needed} or more"
        per_class = OmegaConf.select(self._config, "data.train_per_class")
        if per_class is None or int(per_class) > _FEW:
            problem += f", or fewer images, such as data.train_per_class={_FEW}"
        raise ConfigError("budget", self._given, problem)
