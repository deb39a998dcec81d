"""The plan of a sweep that chooses, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from transfer.sweep.choose.choice import Attempt
from transfer.sweep.choose.grid import Chosen, Room, race_rungs, race_seconds
from transfer.sweep.expected import duration
from transfer.sweep.race.replicates import recipe_of


def plan_text(
    chosen: Sequence[Chosen], grid: Sequence[Attempt], left: float, room: Room, repeats: int
) -> list[str]:
    """The stages and what they may take, line by line.

    Args:
        chosen: what races.
        grid: the same with its jobs: of what was typed with several values, several of each.
        left: seconds for all of it.
        repeats: how many jobs each part of the grid comes to.
    """
    epochs, jobs = grid[0].epochs, sum(len(each.jobs) for each in grid)
    race = race_seconds(chosen, epochs, room) * repeats
    tried = [(each.candidate, each.tuning) for each in chosen]
    rungs = ", ".join(map(str, race_rungs(tried, room, epochs)))
    parts = dict[str, Counter[str]]()
    for each, attempt in zip(chosen, grid, strict=True):
        own = parts.setdefault(each.candidate.label, Counter())
        own[each.tuning.tune] += len({recipe_of(job) for job in attempt.jobs})
    count = sum(own.total() for own in parts.values())
    # Seeds, folds and splits are jobs of one configuration.
    told = f"{count} configurations" + (f", {jobs} jobs," if jobs > count else "")
    listed = [
        f"  {model}: {', '.join(f'{number} x {part}' for part, number in own.items())}"
        for model, own in parts.items()
    ]
    return [
        f"{duration(left)} are left: {told} of {epochs} epochs, rungs after {rungs}, about"
        f" {duration(race)}; then others, and further seeds",
        *listed,
    ]
