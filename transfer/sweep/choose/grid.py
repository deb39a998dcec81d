"""What is tried of each candidate, and how much of that there is time for."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transfer.config.halving import rungs_of
from transfer.sweep.choose.tunings import Candidate, Tuning
from transfer.sweep.choose.worth import SCATTER, Prospect, choose_worthy

# What a job takes beside its epochs: starting it at each rung, and its end.
_START_S, _END_S = 0.8, 3.0
# An image takes so long in an epoch of a head alone, whose features are stored.
_HEAD_S = 2e-5
# A single configuration may take this share of the time for the race.
_MOST_ALONE = 0.75
# A further configuration is to add as much to the merit of the best.
_LEAST_ADDED = 0.0005
# The first rung lies after this share of the epochs that train more than a head.
_FIRST_RUNG = 1 / 3
EPOCHS = (30, 20, 12, 8, 5, 3)
# The head learns alone in this share of the epochs before more does.
_FROZEN = 0.2


@dataclass(frozen=True)
class Images:
    """How many there are."""

    train: int
    val: int
    test: int

    @property
    def all(self) -> int:
        return self.train + self.val + self.test


@dataclass(frozen=True)
class Room:
    """What a grid has to fit into.

    Attributes:
        time: seconds for the race between its configurations.
        eta: one of so many goes on from each rung.
        at_once: how many jobs run at the same time.
        slow: how many times as long as on a machine that is free things take that were not tried.
        first_rung: epochs, if that was chosen.
        frozen: the epochs in which the head learns alone before more does, if these were typed.
        keep: what goes on from a rung, as hydra.sweeper.keep has it.
    """

    images: Images
    time: float
    eta: float = 3.0
    at_once: int = 1
    slow: float = 1.0
    first_rung: int | None = None
    frozen: Sequence[int] = ()
    keep: str = "paired"


def frozen_epochs(candidate: Candidate, tuning: Tuning, room: Room, epochs: int) -> Sequence[int]:
    """How many epochs the head of a configuration learns alone: a number for each of its jobs that
    differs in that."""
    if tuning.kind == "head":
        return [epochs]
    return room.frozen or [math.floor(_FROZEN * epochs) if candidate.pretrained else 0]


def race_rungs(
    configurations: Sequence[tuple[Candidate, Tuning]], room: Room, epochs: int
) -> list[int]:
    """The epochs after which the race between these may drop some.

    Unless the first was chosen, it lies where the last to train more than its head has done a third
    of that: before, deeper tuning is behind heads that have come to their end almost.
    """
    frozen = [max(frozen_epochs(*each, room, epochs)) for each in configurations]
    deeper = [each for each in frozen if each < epochs]
    first = room.first_rung
    if first is None and deeper and room.keep == "paired":
        first = max(deeper) + math.ceil((epochs - max(deeper)) * _FIRST_RUNG)
    return rungs_of(epochs, max(deeper, default=0), first, room.eta, room.keep)


def seconds(
    candidate: Candidate,
    tuning: Tuning,
    room: Room,
    epochs: int,
    stored: Collection[str] = (),
) -> float:
    """What a training takes from its start to its end, without pauses.

    Args:
        stored: passes that others have stored the features of, by the names of `passes`.
    """
    frozen = min(frozen_epochs(candidate, tuning, room, epochs))
    each, head, end = parts(candidate, tuning, room)
    own = passes(candidate, tuning, room, epochs)
    once = sum(took for name, took in own.items() if name not in stored)
    return room.slow * _START_S + once + frozen * head + (epochs - frozen) * each + end


def passes(candidate: Candidate, tuning: Tuning, room: Room, epochs: int) -> dict[str, float]:
    """Seconds of each pass over the images whose features a training stores, by name; trainings
    with passes of one name share them."""
    frozen = min(frozen_epochs(candidate, tuning, room, epochs))
    images, forward = room.images, candidate.speed.forward
    found = dict[str, float]()
    if not candidate.pretrained:
        return found
    phases = [("head", frozen)] if frozen else []
    if tuning.kind == "last:1":
        phases.append((tuning.tune, epochs - frozen))
    for tune, count in phases:
        if tuning.views:
            views = min(tuning.views, count)
            name = f"{candidate.label} {tune} {tuning.views} views"
            found[name] = (views * images.train + images.val) * forward
        elif tune != "head" or not candidate.seen:
            found[f"{candidate.label} {tune}"] = (images.train + images.val) * forward
    return found


def parts(candidate: Candidate, tuning: Tuning, room: Room) -> tuple[float, float, float]:
    """What an epoch takes that trains all that the tuning names, one that trains the head alone,
    and what comes after the last."""
    speed, images = candidate.speed, room.images
    head, end = room.slow * images.train * _HEAD_S, room.slow * _END_S + images.test * speed.forward
    if tuning.kind == "head":
        return head, head, end
    if tuning.kind == "last:1":
        return images.train * speed.last + images.val * speed.last / 3, head, end
    # Training images are seen as they are, once.
    end += images.train * speed.forward
    return images.train * speed.all + images.val * speed.forward, head, end


class Chosen(NamedTuple):
    """A configuration of the grid.

    Attributes:
        seconds: from its start to its end.
    """

    candidate: Candidate
    tuning: Tuning
    seconds: float


def race_seconds(chosen: Sequence[Chosen], epochs: int, room: Room) -> float:
    """What a race between configurations takes at most where one of `eta` goes on from each rung:
    those that take longest."""
    configurations = [(each.candidate, each.tuning) for each in chosen]
    stops = [*race_rungs(configurations, room, epochs), epochs]
    costs = sorted((each.seconds for each in chosen), reverse=True)
    total, done, going = 0.0, 0, len(chosen)
    for stop in stops:
        total += (stop - done) / epochs * sum(costs[:going]) + going * room.slow * _START_S
        done, going = stop, max(math.ceil(going / room.eta), 1)
    return total / room.at_once


def fit_grid(
    options: Sequence[tuple[Candidate, Sequence[Tuning]]],
    room: Room,
    epochs: Sequence[int] = EPOCHS,
) -> tuple[int, list[Chosen]]:
    """The epochs of each training, and the configurations for which there is time: of all numbers
    of epochs those whose best configuration is expected to be best.

    Args:
        options: the candidates, and all that may be tried of each.
        epochs: those that come into question, the most first.

    Returns:
        No configuration where there is not even time for one.
    """
    best, worth = (epochs[-1], list[Chosen]()), -math.inf
    for count in epochs:
        expected, chosen = _fill(options, room, count)
        if chosen and expected > worth + 1e-9:
            best, worth = (count, chosen), expected
    return best


def _fill(
    options: Sequence[tuple[Candidate, Sequence[Tuning]]], room: Room, epochs: int
) -> tuple[float, list[Chosen]]:
    """The configurations that are worth their time, as far as there is any, and what merit the best
    of them is expected to have."""
    every = [(candidate, tuning) for candidate, listed in options for tuning in listed]
    prospects = [
        Prospect(candidate.merit + candidate.gain(tuning, epochs), SCATTER)
        for candidate, tuning in every
    ]

    def chosen_of(places: Sequence[int]) -> list[Chosen]:
        stored, found = set[str](), list[Chosen]()
        for candidate, tuning in (every[at] for at in places):
            took = seconds(candidate, tuning, room, epochs, stored)
            found.append(Chosen(candidate, tuning, took))
            stored |= passes(candidate, tuning, room, epochs).keys()
        return found

    def fits(places: Sequence[int]) -> bool:
        chosen = chosen_of(places)
        alone = room.time * (_MOST_ALONE if len(chosen) > 1 else 1.0)
        return chosen[-1].seconds <= alone and race_seconds(chosen, epochs, room) <= room.time

    # An early answer, whatever else there may turn out to be no time for.
    heads = [at for at, (_, tuning) in enumerate(every) if tuning.kind == "head"]
    heads.sort(key=lambda at: -prospects[at].merit)
    first = [at for at in heads if fits([at])][:1]
    costs = [seconds(*each, room, epochs) for each in every]
    worth, places = choose_worthy(prospects, costs, fits, first=first, least=_LEAST_ADDED)
    return worth, chosen_of(places)
