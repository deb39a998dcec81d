"""Everything that a sweep which chooses may try, and how long each of that takes: the same before
the race, for the grid, and after it, when there is time left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from omegaconf import DictConfig, OmegaConf

from transfer.evaluate.speed import Speed
from transfer.sweep.choose.choice import Attempt
from transfer.sweep.choose.grid import Images, Room, frozen_epochs, parts
from transfer.sweep.choose.offer import offered, own_overrides
from transfer.sweep.choose.tunings import Candidate, Tuning
from transfer.sweep.choose.typed_overrides import TypedOverrides


@dataclass(frozen=True)
class Menu:
    """What may be tried.

    Attributes:
        candidates: those that the screen has left.
        room: with the images, and what is known of the machine.
        epochs: of a training, those that come into question, the most first.
    """

    candidates: Sequence[Candidate]
    room: Room
    epochs: Sequence[int]

    def write(self) -> dict[str, Any]:
        """As JSON knows it."""
        return asdict(self)

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> Self:
        """What `write` gave."""
        candidates = [
            Candidate(**{**each, "speed": Speed(**each["speed"])}) for each in written["candidates"]
        ]
        room = written["room"]
        images = Images(**room["images"])
        return cls(candidates, Room(**{**room, "images": images}), written["epochs"])

    def options(self, config: DictConfig, typed: TypedOverrides) -> list[tuple[int, Tuning]]:
        """Each tuning of each candidate, by the candidate's place.

        Args:
            config: of the sweep.
        """
        return [
            (place, tuning)
            for place, candidate in enumerate(self.candidates)
            for tuning in offered(candidate, config, typed)
        ]

    def attempt(self, place: int, tuning: Tuning, epochs: int, typed: TypedOverrides) -> Attempt:
        """A configuration with its jobs."""
        candidate = self.candidates[place]
        own = self._own(candidate, tuning, epochs, typed)
        jobs = [[*candidate.overrides, *own, *of_user] for of_user in typed.products(tuning.kind)]
        return Attempt(place, tuning.kind, tuning.overrides, tuning.handicap, epochs, jobs)

    def planned(self, config: DictConfig, typed: TypedOverrides) -> dict[str, Sequence[float]]:
        """What is planned until it is measured, by the kind of the jobs, as `Pace` has it."""
        return {
            self.kind(place, tuning, config, typed): parts(
                self.candidates[place], tuning, self.room
            )
            for place, tuning in self.options(config, typed)
        }

    def kind(self, place: int, tuning: Tuning, config: DictConfig, typed: TypedOverrides) -> str:
        """What the jobs of a configuration are called by those who measure them."""
        candidate = self.candidates[place]
        found = self._own(candidate, tuning, self.epochs[0], typed)
        own = dict(each.split("=", 1) for each in found)
        stored = own.get("frozen_features", str(OmegaConf.select(config, "frozen_features")))
        return f"{candidate.kind} {own['tune']} {stored}"

    def _own(
        self, candidate: Candidate, tuning: Tuning, epochs: int, typed: TypedOverrides
    ) -> list[str]:
        frozen = frozen_epochs(candidate, tuning, self.room, epochs)
        return own_overrides(tuning, typed, epochs, frozen)
