"""What else stops losers early, for comparison: each as published, over recorded curves.

Each gives how many epochs it trains in all, and the configurations that it trains to the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.proofs.recorded_grid import GridRun
from transfer.compare.forgone import Curve, Forgone, estimate_forgone
from transfer.compare.halving import Rule, find_losers, model_of
from transfer.compare.statistics import Floats
from transfer.config.halving import share_of


@dataclass(frozen=True)
class Outcome:
    """What a strategy came to.

    Attributes:
        epochs: trained, of a run each.
        finished: the places of the configurations that were trained to the end.
        forgone: the risk that it states, if it does.
    """

    epochs: int
    finished: list[int]
    forgone: Forgone | None = None


def halving(every: list[list[GridRun]], rungs: list[int], rule: Rule) -> Outcome:
    """The project's own, by the very code that drops runs in a sweep. With a forecast the first
    run of each configuration races, and the others are for the best of what finishes."""
    looks_ahead = rule.keep == "forecast"
    sweep = [runs[:1] for runs in every] if looks_ahead else every
    racing, trained, done = list(range(len(sweep))), 0, 0
    scores = [np.mean([each.scores for each in runs], axis=0) for runs in sweep]
    dropped = list[Curve]()
    for rung in rungs:
        trained += (rung - done) * sum(len(sweep[at]) for at in racing)
        done = rung
        pairs = [(each.record, each.standing_at(rung)) for at in racing for each in sweep[at]]
        losers = find_losers(pairs, rule)
        out = [at for at in racing if _tag(sweep[at]) in losers]
        dropped += [_curve(sweep[at], scores[at][:rung]) for at in out]
        racing = [at for at in racing if at not in out]
    trained += (rule.epochs - done) * sum(len(sweep[at]) for at in racing)
    if not looks_ahead:
        finished = [_curve(sweep[at], scores[at]) for at in racing]
        return Outcome(trained, racing, estimate_forgone(finished, dropped))
    order = sorted(racing, key=lambda at: -sweep[at][0].curve[-1])
    best = order[: share_of(len(racing), rule.eta, rule.keep)]
    trained += rule.epochs * sum(len(every[at]) - 1 for at in best)
    for at in best:
        scores[at] = np.mean([each.scores for each in every[at]], axis=0)
    finished = [_curve(sweep[at], scores[at]) for at in racing]
    return Outcome(trained, best, estimate_forgone(finished, dropped))


def best_after(sweep: list[list[GridRun]], epoch: int) -> Outcome:
    """Only the best after so many epochs goes on (Egele et al. 2023, "Is one epoch all you need for
    multi-fidelity hyperparameter optimization?", arXiv 2307.15422)."""
    curves = mean_curves(sweep)
    best = int(curves[:, epoch - 1].argmax())
    every = sum(len(runs) for runs in sweep) * epoch
    return Outcome(every + (curves.shape[1] - epoch) * len(sweep[best]), [best])


def median_stopping(sweep: list[list[GridRun]], grace: int) -> Outcome:
    """One after another; a configuration stops once the best that it had so far is below the median
    of the running averages of those that were trained to the end (Golovin et al. 2017, "Google
    Vizier", KDD, section 3.2.2).

    Args:
        grace: epochs that each is trained at least.
    """
    curves = mean_curves(sweep)
    averages = np.cumsum(curves, axis=1) / np.arange(1, curves.shape[1] + 1)
    finished, trained = list[int](), 0
    for at, runs in enumerate(sweep):
        stop = curves.shape[1]
        if finished:
            below = curves[at] < np.median(averages[finished], axis=0)
            stop = next((epoch for epoch in range(grace, stop) if below[epoch - 1]), stop)
        trained += stop * len(runs)
        finished += [at] if stop == curves.shape[1] else []
    return Outcome(trained, finished)


def asynchronous_halving(
    sweep: list[list[GridRun]], first: int, eta: int, workers: int = 2
) -> Outcome:
    """ASHA (Li et al. 2020, "A system for massively parallel hyperparameter tuning", MLSys,
    algorithm 2): a worker that is free promotes whatever is in the top 1/eta of a rung, and begins
    another configuration where nothing is. It ends when nothing is left to begin or promote."""
    curves = mean_curves(sweep)
    rungs = [first * eta**power for power in range(9) if first * eta**power < curves.shape[1]]
    rungs.append(curves.shape[1])
    reached: list[dict[int, float]] = [{} for _ in rungs]
    promoted: list[set[int]] = [set() for _ in rungs]
    begun, trained, clock = 0, 0, 0.0
    busy = list[tuple[float, int, int]]()
    while True:
        while len(busy) < workers:
            step = _promotion(reached, promoted, eta)
            if step is None and begun < len(sweep):
                step, begun = (begun, 0), begun + 1
            if step is None:
                break
            at, rung = step
            length = rungs[rung] - (rungs[rung - 1] if rung else 0)
            trained += length * len(sweep[at])
            busy.append((clock + length, at, rung))
        if not busy:
            # Of a few configurations none may come to the end.
            return Outcome(trained, list(next(rung for rung in reversed(reached) if rung)))
        busy.sort()
        clock, at, rung = busy.pop(0)
        reached[rung][at] = float(curves[at, rungs[rung] - 1])


def _promotion(
    reached: list[dict[int, float]], promoted: list[set[int]], eta: int
) -> tuple[int, int] | None:
    for rung in range(len(reached) - 2, -1, -1):
        order = sorted(reached[rung], key=lambda at: -reached[rung][at])
        top = order[: math.floor(len(order) / eta)]
        for at in top:
            if at not in promoted[rung]:
                promoted[rung].add(at)
                return at, rung + 1
    return None


def mean_curves(sweep: list[list[GridRun]]) -> Floats:
    """The best validation accuracy so far of each configuration, by epoch, mean over its runs."""
    return np.array([np.mean([each.curve for each in runs], axis=0) for runs in sweep])


def _curve(runs: list[GridRun], scores: Floats) -> Curve:
    return Curve(scores, model_of(runs[0].record))


def _tag(runs: list[GridRun]) -> str:
    return runs[0].record.tags["transfer.configuration"]
