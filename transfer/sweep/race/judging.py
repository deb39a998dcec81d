"""What is said of the jobs of a race at a rung: who is dropped, and how far each is behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from transfer.compare.criterion import criterion_of
from transfer.compare.halving import (
    Fall,
    Rule,
    find_losers,
    places,
    points_behind,
    where_it_leads,
)
from transfer.config.halving import Halving
from transfer.sweep.race.runners import Runner
from transfer.tracking.dropped import Dropped


def judge(
    found: Mapping[int, Runner],
    halving: Halving,
    configurations: int,
    epoch: int,
    name: Callable[[int], str],
) -> list[dict[int, Dropped]]:
    """The jobs of each configuration, the best one first, with what is to be said of each if it is
    dropped: those whose time may be too short, but that have not lost, have "time" as their reason.

    Args:
        found: all jobs that are compared, by their numbers.
        configurations: how many have come to a rung before this one, at most.
        epoch: of the rung.
        name: of a job, by its number.
    """
    standings = [(each.run, each.standing) for each in found.values()]
    options, rungs = halving.options, len(halving.rungs)
    rule = Rule(options.keep, options.eta, options.risk, 0, rungs, halving.epochs)
    order = places(standings, rule)
    rule = replace(rule, configurations=max(configurations, len(order)))
    falls = find_losers(standings, rule)
    criterion = criterion_of(run for run, _ in standings)
    number_of = {each.run.id: number for number, each in found.items()}
    first_of = {place.name: number_of[place.runs[0]] for place in order}
    first = next((each.name for each in order if each.behind <= 0), "")
    judged = []
    for place in order:
        fall = falls.get(place.name, Fall(first, place.behind))
        lost = "forecast" if rule.keep == "forecast" else "behind"
        why = lost if place.name in falls else "time"
        ahead = "" if fall.best == place.name else name(first_of[fall.best])
        behind = points_behind(fall, criterion)
        leads = where_it_leads(fall, criterion)
        judged.append(
            {
                number: Dropped(epoch, behind, ahead, found[number].standing.score, why, leads)
                for number in map(number_of.__getitem__, place.runs)
            }
        )
    return judged
