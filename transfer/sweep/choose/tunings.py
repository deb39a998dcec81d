"""What may be tried of a candidate: how much of it is tuned, with which rates, on which images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from transfer.evaluate.speed import Speed
from transfer.sweep.choose.worth import expected_gain

# Of the last stage on what is augmented, the views of each image; each takes a pass.
_VIEWS = 4
# Merit that a rate is expected to lack after the likeliest, one by one; and images as they are,
# where everything is tuned and they could be augmented; and a rate beside one that was good.
_OTHER_RATE, _NOT_AUGMENTED, _BESIDE = 0.1, 0.1, 0.03


class Tuning(NamedTuple):
    """One way to tune a candidate.

    Attributes:
        kind: "head", "last:1" or "all".
        overrides: that choose it, but for the epochs.
        handicap: merit that it is expected to lack, where another of its kind is likelier.
    """

    kind: str
    overrides: tuple[str, ...]
    handicap: float = 0.0

    @property
    def views(self) -> int:
        """How many augmented views of each training image it stores; 0: the images as they are."""
        found = [each for each in self.overrides if each.startswith("feature_views=")]
        return int(found[0].partition("=")[2]) if found else 0

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
        merit: of a linear probe on it, as `transfer.sweep.choose.worth` has it.
        seen: whether what its whole backbone gives of the images is stored already.
    """

    label: str
    overrides: tuple[str, ...]
    pretrained: bool
    speed: Speed
    kind: str = ""
    merit: float = 0.0
    seen: bool = False

    def gain(self, tuning: Tuning, epochs: int) -> float:
        """Merit that a training is expected to add to a linear probe's."""
        kind = "views" if tuning.views else tuning.kind
        expected = expected_gain(kind, epochs, pretrained=self.pretrained)
        return expected - tuning.handicap


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
        every = _ordered("all", rates, "optimizer.lr", "tune=all", *fits)
        return [every[1]._replace(handicap=0.0), every[0]._replace(handicap=_OTHER_RATE), every[2]]
    # Features that are stored are those of images as they are.
    stored = "frozen_features=cache"
    heads = _ordered("head", head_rates, "optimizer.head_lr", "tune=head", stored)
    lasts = _ordered("last:1", rates[:2], "optimizer.lr", "tune=last:1", stored)
    alls = _ordered("all", rates, "optimizer.lr", "tune=all", stored, *fits)
    views, unlike = list[Tuning](), list[Tuning]()
    if augment is not None:
        several = ("tune=last:1", stored, f"feature_views={_VIEWS}", *fits)
        views = _ordered("last:1", rates[:2], "optimizer.lr", *several)
        own = ("tune=all", stored, *plain, f"optimizer.lr={rates[0]}")
        unlike = [Tuning("all", own, _NOT_AUGMENTED)]
    found = [heads[0], alls[0], lasts[0], *views[:1], alls[1], heads[1], lasts[1], *views[1:]]
    found += [*unlike, alls[2]]
    return [each for each in found if each.kind != "last:1" or math.isfinite(candidate.speed.last)]


def _ordered(kind: str, rates: Sequence[str], key: str, *others: str) -> list[Tuning]:
    """A tuning with each of these rates, the likeliest first."""
    return [
        Tuning(kind, (*others, f"{key}={rate}"), _OTHER_RATE * place)
        for place, rate in enumerate(rates)
    ]


def neighbours(overrides: Sequence[str], kind: str) -> list[Tuning]:
    """A tuning with half of its rate, and twice that; none where the rate is no part of it."""
    key = "optimizer.head_lr" if kind == "head" else "optimizer.lr"
    found = list[Tuning]()
    for at, each in enumerate(overrides):
        name, _, rate = each.partition("=")
        if name == key:
            for factor in (0.5, 2.0):
                other = f"{name}={float(rate) * factor:.3g}"
                own = (*overrides[:at], other, *overrides[at + 1 :])
                found.append(Tuning(kind, own, _BESIDE))
    return found
