"""Which choices tell the configurations of a report apart, and which only come along with them."""

from collections.abc import Sequence
from dataclasses import dataclass

from transfer.config.schema import KEYS
from transfer.tracking.run_record import RunRecord

# What a run's parameters tell beside its configuration: what was found, and on what it ran.
FOUND = (
    "data.digest", "data.files_digest", "data.test_digest", "data.classes", "data.test_images",
    "data.pool_digest", "data.train_images", "data.skipped_images", "data.shared_images",
    "weights.digest", "weights.loaded", "weights.left_out", "threads",
    *(f"normalization.{name}" for name in ("mean", "std", "interpolation", "source")),
)  # fmt: skip
# By them the replicates of a configuration differ, and by nothing else that was chosen.
REPLICATE_KEYS = ("seed", "data.seed", "data.fold")
# Differ between runs without being a choice that the report compares.
_NOT_COMPARED = {
    *(*FOUND, *REPLICATE_KEYS),
    *(name for name, key in KEYS.items() if not key.compared),
}
# A place, and a choice where other images lie there.
_FOLDER = "data.train_folder"
# The questions that people ask: columns of their own whenever they differ.
_ALWAYS_SHOWN = ("weights", "freeze_epochs", "tune", "image_size")
# Of choices that always change together, the first of these stands for all.
_STANDS_FOR = (
    "model.name", *_ALWAYS_SHOWN,
    "augment.name", "optimizer.name", "schedule.name", "protocol.validation",
)  # fmt: skip


@dataclass(frozen=True)
class Keys:
    """The parameters of some runs, by what they do for a comparison.

    Attributes:
        shown: tell the runs apart, a column each; `model.name` first, always.
        following: of a shown key, the keys whose value is known once its own is.
        constant: those that all runs share, with their value.
    """

    shown: Sequence[str]
    following: dict[str, list[str]]
    constant: dict[str, str]


def sort_keys(runs: Sequence[RunRecord]) -> Keys:
    """Sort the parameters of `runs`, one of each configuration."""
    names = sorted({name for run in runs for name in run.params if is_compared(name)})
    if all(_count([name], runs) > 1 for name in (_FOLDER, "data.digest")):
        names.append(_FOLDER)
    groupings = {name: _grouping(name, runs) for name in names}
    differing = [name for name in names if max(groupings[name]) > 0 and name != "model.name"]
    standing = [name for name in _STANDS_FOR if name in differing]
    shown, following = ["model.name"], dict[str, list[str]]()
    for name in dict.fromkeys([*standing, *differing]):
        leader = None if name in _ALWAYS_SHOWN else _leader(name, shown, groupings)
        if leader is None:
            shown.append(name)
        else:
            following.setdefault(leader, []).append(name)
    constant = {name: runs[0].params[name] for name in names if name not in {*differing, *shown}}
    if _count(shown, runs) < len(runs) and _count(["weights.digest"], runs) > 1:
        # A file that was written anew between two runs.
        shown.append("weights.digest")
    return Keys([shown[0], *sorted(shown[1:])], following, constant)


def label_keys(shown: Sequence[str], runs: Sequence[RunRecord]) -> list[str]:
    """Those of the shown keys that a label needs to name each run, in their order.

    A learning rate that each pair of model and optimizer has its own of, say, has a column and is
    no part of the label.
    """
    kept, significant = list(shown), _count(shown, runs)
    fixed = ("model.name", *_ALWAYS_SHOWN)
    # What stands for others goes last.
    for name in sorted(shown, key=lambda each: (each in _STANDS_FOR, each)):
        rest = [each for each in kept if each != name]
        if name not in fixed and _count(rest, runs) == significant:
            kept = rest
    return kept


def is_compared(name: str) -> bool:
    """Whether a parameter is a choice, rather than a place or a circumstance."""
    return name not in _NOT_COMPARED


def short(name: str) -> str:
    """As people type it: model for model.name."""
    return name.removesuffix(".name")


def _leader(name: str, shown: Sequence[str], groupings: dict[str, tuple[int, ...]]) -> str | None:
    """The shown key that `name` follows: one that always changes together with it, or the choice
    of its group, as betas follow optimizer=adam; or the model, as precision=auto does."""
    for other in shown:
        if groupings[other] == groupings[name]:
            return other
        of_its_group = other == "model.name" or other == f"{name.partition('.')[0]}.name"
        pairs = set(zip(groupings[other], groupings[name], strict=True))
        if of_its_group and len(pairs) == len(set(groupings[other])):
            return other
    return None


def _grouping(name: str, runs: Sequence[RunRecord]) -> tuple[int, ...]:
    """Which runs share a value: a number a run, counted from 0 in the order of appearance."""
    numbers: dict[str | None, int] = {}
    return tuple(numbers.setdefault(run.params.get(name), len(numbers)) for run in runs)


def _count(names: Sequence[str], runs: Sequence[RunRecord]) -> int:
    """How many runs these keys tell apart."""
    return len({tuple(run.params.get(name) for name in names) for run in runs})
