"""What is tried of each candidate, and how much of that there is time for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transfer.config.halving import rungs_of
from transfer.evaluate.speed import Speed

# What a job takes beside its epochs: starting it at each rung, and its end.
_START_S, _END_S = 0.8, 3.0
# An image takes so long in an epoch of a head alone, whose features are stored.
_HEAD_S = 2e-5
# A single configuration may take this share of the time for the race.
_MOST_ALONE = 0.4
# Longer trainings are given up for so many configurations.
_ENOUGH = 6
EPOCHS = (30, 20, 12, 8, 5, 3)
# The head learns alone in this share of the epochs before more does.
_FROZEN = 0.2


class Tuning(NamedTuple):
    """One way to tune a candidate.

    Attributes:
        kind: "head", "last:1" or "all".
        overrides: that choose it, but for the epochs.
    """

    kind: str
    overrides: tuple[str, ...]

    @property
    def tune(self) -> str:
        """The value of `tune`."""
        return next(each for each in self.overrides if each.startswith("tune=")).removeprefix(
            "tune="
        )


@dataclass(frozen=True)
class Candidate:
    """A model with its weights and the size of its images.

    Attributes:
        label: for people.
        overrides: that choose it.
        pretrained: whether it has weights to start from.
        speed: of its images.
        kind: its model and the size of its images, as a job's kind begins.
    """

    label: str
    overrides: tuple[str, ...]
    pretrained: bool
    speed: Speed
    kind: str = ""


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


# The rates that are tried, the likeliest first, by optimiser: those of the head alone, and of more.
_RATES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "adam": (("1e-2", "1e-3"), ("5e-4", "2e-3", "1e-4")),
    "adamw": (("1e-2", "1e-3"), ("5e-4", "2e-3", "1e-4")),
    "sgd": (("5e-2", "5e-3"), ("1e-2", "5e-2", "2e-3")),
}
OPTIMIZERS = tuple(_RATES)
# conf/experiment/choose.yaml has AdamW's, which takes it from the weights. The others add it to the
# gradient, where as much would ruin them: these are their own.
_WEIGHT_DECAY = {"adam": "1e-4", "sgd": "5e-4"}


def tunings(candidate: Candidate, optimizer: str, augment: str | None) -> list[Tuning]:
    """All that may be tried of a candidate with an optimiser, the likeliest first.

    Args:
        optimizer: one of OPTIMIZERS.
        augment: an augmentation that fits the images; None for none.
    """
    found = _tunings(candidate, optimizer, augment)
    if (decay := _WEIGHT_DECAY.get(optimizer)) is None:
        return found
    own = f"optimizer.weight_decay={decay}"
    return [each._replace(overrides=(*each.overrides, own)) for each in found]


def _tunings(candidate: Candidate, optimizer: str, augment: str | None) -> list[Tuning]:
    head_rates, rates = _RATES[optimizer]
    plain = ("augment=none",)
    fits = plain if augment is None else (f"augment={augment}",)
    if not candidate.pretrained:
        every = [Tuning("all", ("tune=all", *fits, f"optimizer.lr={rate}")) for rate in rates]
        return every[1:2] + every[:1] + every[2:]
    # Features that are stored are those of images as they are.
    stored = ("frozen_features=cache",)
    heads = [
        Tuning("head", ("tune=head", *stored, f"optimizer.head_lr={rate}")) for rate in head_rates
    ]
    lasts = [
        Tuning("last:1", ("tune=last:1", *stored, f"optimizer.lr={rate}")) for rate in rates[:2]
    ]
    alls = [
        Tuning("all", ("tune=all", "frozen_features=cache", *fits, f"optimizer.lr={rate}"))
        for rate in rates
    ]
    unlike = ("tune=all", "frozen_features=cache", *plain, f"optimizer.lr={rates[0]}")
    extra = [Tuning("all", unlike)] if augment is not None else []
    found = [heads[0], alls[0], lasts[0], alls[1], heads[1], lasts[1], *extra, alls[2]]
    return [each for each in found if each.kind != "last:1" or math.isfinite(candidate.speed.last)]


def frozen_epochs(candidate: Candidate, tuning: Tuning, room: Room, epochs: int) -> Sequence[int]:
    """How many epochs the head of a configuration learns alone: a number for each of its jobs that
    differs in that."""
    if tuning.kind == "head":
        return [epochs]
    return room.frozen or [math.floor(_FROZEN * epochs) if candidate.pretrained else 0]


def race_rungs(
    configurations: Sequence[tuple[Candidate, Tuning]], room: Room, epochs: int
) -> list[int]:
    """The epochs after which the race between these may drop some."""
    frozen = [max(frozen_epochs(*each, room, epochs)) for each in configurations]
    unfrozen = max((each for each in frozen if each < epochs), default=0)
    return rungs_of(epochs, unfrozen, room.first_rung, room.eta, room.keep)


def seconds(
    candidate: Candidate, tuning: Tuning, room: Room, epochs: int, *, stored: bool = False
) -> float:
    """What a training takes from its start to its end, without pauses.

    Args:
        stored: whether another one has stored the features that it needs.
    """
    frozen = min(frozen_epochs(candidate, tuning, room, epochs))
    each, head, end = parts(candidate, tuning, room)
    once = 0.0
    if tuning.kind == "last:1" and not stored:
        once = (room.images.train + room.images.val) * candidate.speed.forward
    return room.slow * _START_S + once + frozen * head + (epochs - frozen) * each + end


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
    """What a race between configurations takes where one of `eta` goes on from each rung."""
    configurations = [(each.candidate, each.tuning) for each in chosen]
    stops = [*race_rungs(configurations, room, epochs), epochs]
    mean = sum(each.seconds for each in chosen) / max(len(chosen), 1)
    total, done, going = 0.0, 0, len(chosen)
    for stop in stops:
        total += going * ((stop - done) / epochs * mean + room.slow * _START_S)
        done, going = stop, max(math.ceil(going / room.eta), 1)
    return total / room.at_once


def fit_grid(
    options: Sequence[tuple[Candidate, Sequence[Tuning]]],
    room: Room,
    epochs: Sequence[int] = EPOCHS,
) -> tuple[int, list[Chosen]]:
    """The epochs of each training, and the configurations for which there is time.

    Args:
        options: the candidates, the most promising first, and all that may be tried of each, the
            likeliest first.
        epochs: those that come into question, the most first.

    Returns:
        No configuration where there is not even time for one.
    """
    best: tuple[int, list[Chosen]] = (epochs[-1], [])
    most = sum(len(listed) for _, listed in options)
    for count in epochs:
        chosen = _fill(options, room, count)
        if len(chosen) > len(best[1]):
            best = (count, chosen)
        if len(chosen) >= min(_ENOUGH, most):
            break
    return best


def _fill(
    options: Sequence[tuple[Candidate, Sequence[Tuning]]], room: Room, epochs: int
) -> list[Chosen]:
    """As many configurations as there is time for, by turns of each candidate its next."""
    chosen = list[Chosen]()
    for turn in range(max((len(listed) for _, listed in options), default=0)):
        for candidate, listed in options:
            if turn >= len(listed):
                continue
            tuning = listed[turn]
            stored = any(
                each.candidate is candidate and each.tuning.kind == tuning.kind for each in chosen
            )
            took = seconds(candidate, tuning, room, epochs, stored=stored)
            more = [*chosen, Chosen(candidate, tuning, took)]
            alone = room.time * (_MOST_ALONE if chosen else 1.0)
            if took <= alone and race_seconds(more, epochs, room) <= room.time:
                chosen = more
    return chosen
