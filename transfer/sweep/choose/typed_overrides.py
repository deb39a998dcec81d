"""What was typed beside `experiment=choose`: each part of it takes the place of a part of the grid
that would be tried else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from transfer.config.tune import last_stages
from transfer.sweep.choose.tunings import Tuning
from transfer.sweep.compose import typed

# What a command is, and no part of what it trains.
_STARTED = ("resume", "stop_after", "budget", "deploy", "deploy_rows")
# The candidates, as a screen reads them.
_OF_SCREEN = ("model", "weights", "image_size", "data", "precision", "device", "tracking")
_CANDIDATE = ("model", "weights", "image_size")


@dataclass(frozen=True)
class TypedOverrides:
    """What was typed, by what it is for.

    Attributes:
        meant: all of it but how the command was started.
        of_screen: what chooses the candidates and their images.
        fixed: what is the same in every job.
        swept: the values of what differs between jobs, each as an override, by key.
        tunes: the values of `tune`, if that was typed.
        optimizers: likewise of `optimizer`.
    """

    meant: Sequence[str]
    of_screen: Sequence[str]
    fixed: Sequence[str]
    swept: dict[str, list[str]]
    tunes: Sequence[str]
    optimizers: Sequence[str]

    def has(self, key: str) -> bool:
        """Whether a key was typed, with one value or several."""
        own = {_key(each) for each in self.meant}
        return key in own

    def replace_in(self, tunings: Sequence[Tuning]) -> list[Tuning]:
        """What is tried, less the parts that were typed; each once."""
        found = dict[tuple[str, ...], Tuning]()
        for each in tunings:
            for kind, own in self._tuned(each):
                left = tuple(one for one in own if not self.has(_key(one)) or _key(one) == "tune")
                found.setdefault(left, each._replace(kind=kind, overrides=left))
        return list(found.values())

    def _tuned(self, tuning: Tuning) -> list[tuple[str, tuple[str, ...]]]:
        """A tuning with each value of `tune` that was typed and is of its kind."""
        if not self.has("tune"):
            return [(tuning.kind, tuning.overrides)]
        others = tuple(each for each in tuning.overrides if _key(each) != "tune")
        return [
            (tuning.kind, (f"tune={word}", *others))
            for word in self.tunes
            if _kind(word) == tuning.kind
        ]

    def products(self, kind: str) -> list[tuple[str, ...]]:
        """Every combination of what was typed with several values, as a job of this kind has it."""
        idle = ("optimizer.lr", "freeze_epochs") if kind == "head" else ()
        return list(product(*(each for key, each in self.swept.items() if key not in idle)))

    @property
    def repeats(self) -> int:
        """How many jobs each part of the grid comes to."""
        return len(self.products(""))


def sort_overrides(config: DictConfig) -> TypedOverrides:
    """Sort what was typed.

    Args:
        config: of the sweep, Hydra's own part included.
    """
    loader = GlobalHydra.instance().config_loader()
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(typed(config, "task"))
    meant, of_screen, fixed = list[str](), list[str](), list[str]()
    swept, tunes, optimizers = dict[str, list[str]](), list[str](), list[str]()
    for each in parsed:
        line, key = str(each.input_line), each.key_or_group
        if key not in _STARTED:
            meant.append(line)
        first = key.lstrip("+~").partition(".")[0]
        if first in _OF_SCREEN and line != "model=all":
            several = each.is_sweep_override() and first == "data"
            # One split for all candidates.
            value = next(iter(each.sweep_string_iterator())) if several else ""
            of_screen.append(f"{key}={value}" if several else line)
        if first in _CANDIDATE:
            continue
        values = [line]
        if each.is_sweep_override():
            values = [f"{key}={value}" for value in each.sweep_string_iterator()]
        if key == "tune":
            tunes += [value.partition("=")[2] for value in values]
        elif key == "optimizer":
            optimizers += [value.partition("=")[2] for value in values]
        elif each.is_sweep_override():
            swept[key] = values
        elif key != "preview":
            fixed.append(line)
    if not any(_key(each) in ("model", "model.name") for each in of_screen):
        of_screen.insert(0, "model=all")
    return TypedOverrides(meant, of_screen, fixed, swept, tunes, optimizers)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _kind(word: str) -> str:
    """The kind of the grid's tunings that a value of `tune` takes the place of."""
    stages = last_stages(word)
    if stages is None:
        return "all"
    return "head" if stages == 0 else "last:1"
