"""Accuracy against what it costs: the Pareto front."""

import math
from collections.abc import Sequence


def pareto_front(accuracies: Sequence[float], costs: Sequence[float]) -> list[bool]:
    """Which points no other point beats: none is at least as accurate and at least as cheap, and
    better in one of the two. A point with a number missing is not on the front."""
    points = list(zip(accuracies, costs, strict=True))
    known = [point for point in points if all(map(math.isfinite, point))]
    # From the cheapest on, the front is where the accuracy rises above all before.
    best: dict[float, float] = {}
    front: set[tuple[float, float]] = set()
    highest = -math.inf
    for accuracy, cost in known:
        best[cost] = max(accuracy, best.get(cost, -math.inf))
    for cost in sorted(best):
        if best[cost] > highest:
            highest = best[cost]
            front.add((highest, cost))
    return [point in front for point in points]
