"""How much halving saves and what it loses, replayed on the recorded grid, beside other rules.

A replay is a sweep of some of the grid's configurations with some of its seeds, drawn at random.
What it chose is judged by the test accuracy of all three seeds: of what was trained to the end, the
best on validation is taken, and compared with the best on test of all that were drawn.
PROOF_SEED sets another seed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pytest

from tests.proofs.recorded_grid import GridRun, read_grid
from tests.proofs.strategies import (
    Outcome,
    asynchronous_halving,
    best_after,
    halving,
    mean_curves,
    median_stopping,
)
from transfer.compare.halving import Rule

SEED = int(os.environ.get("PROOF_SEED", "0"))
REPLAYS = 400
POINT = 0.01
Strategy = Callable[[list[list[GridRun]]], Outcome]


@dataclass(frozen=True)
class Replay:
    """What a strategy came to in one replay.

    Attributes:
        share: of the epochs of the whole sweep.
        lost: test accuracy of the best drawn configuration beyond that of the chosen one.
        missed: the same beyond the best of those that were trained to the end.
        stated: the chance that something dropped would have been the best, if it says.
    """

    strategy: str
    share: float
    lost: float
    missed: float
    stated: float


@pytest.mark.parametrize("pretrained", [False, True], ids=["whole grid", "pretrained alone"])
def test_replays_of_the_recorded_grid(pretrained: bool) -> None:
    """In the whole grid curves cross: the plain CNN, from random weights, is 20 points behind
    after two epochs, and wins in the last two. No rule here foresees that; the stated risk must."""
    grid = [
        runs for runs in read_grid() if not pretrained or runs[0].record.params["weights"] != "none"
    ]
    assert len(grid) == (12 if pretrained else 24) and all(len(runs) == 3 for runs in grid)
    random = np.random.default_rng(SEED)
    rows = list[Replay]()
    for _ in range(REPLAYS):
        count = int(random.integers(len(grid) // 2, len(grid) + 1))
        members = random.permutation(len(grid))[:count]
        seeds = random.permutation(3)[: int(random.integers(1, 4))]
        sweep = [[grid[at][seed] for seed in sorted(seeds)] for at in members]
        tests = np.array([np.mean([run.test for run in grid[at]]) for at in members])
        rows += [_replay(name, rule, sweep, tests) for name, rule in _strategies(count).items()]
    found = pd.DataFrame(rows)
    print(f"\n{REPLAYS} replays from seed {SEED}\n{_table(found).to_markdown(floatfmt='.1f')}")
    told = found[found["stated"].notna()]
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1.01)):
        some = told[(told["stated"] >= low) & (told["stated"] < high)]
        mean = 100 * some["stated"].mean()
        lost = 100 * _costly(some)
        told_of = f"{len(some)} times, {mean:.0f} %; {lost:.1f} % lost 1 point"
        print(f"stated {low:.0%} to {high:.0%}: {told_of}")
    sure = told[told["stated"] < 0.05]
    assert len(sure) == 0 or _costly(sure) <= 0.05


def _strategies(count: int) -> dict[str, Strategy]:
    rule = partial(Rule, eta=3, risk=0.05, configurations=count, rungs=2)
    return {
        "whole grid": lambda sweep: Outcome(
            sum(map(len, sweep)) * mean_curves(sweep).shape[1], list(range(len(sweep)))
        ),
        "halving, keep=paired": lambda sweep: halving(sweep, [2, 6], rule("paired")),
        "halving, keep=share": lambda sweep: halving(sweep, [2, 6], rule("share")),
        "best after 1 epoch": lambda sweep: best_after(sweep, 1),
        "best after 2 epochs": lambda sweep: best_after(sweep, 2),
        "median stopping": lambda sweep: median_stopping(sweep, grace=2),
        "ASHA, eta 3": lambda sweep: asynchronous_halving(sweep, first=2, eta=3),
    }


def _replay(name: str, strategy: Strategy, sweep: list[list[GridRun]], tests: np.ndarray) -> Replay:
    outcome, curves = strategy(sweep), mean_curves(sweep)
    chosen = max(outcome.finished, key=lambda at: curves[at, -1])
    every = sum(map(len, sweep)) * curves.shape[1]
    return Replay(
        name,
        outcome.epochs / every,
        float(tests.max() - tests[chosen]),
        float(tests.max() - tests[outcome.finished].max()),
        np.nan if outcome.forgone is None else outcome.forgone.probability,
    )


def _table(found: pd.DataFrame) -> pd.DataFrame:
    by_strategy = found.groupby("strategy", sort=False)
    return pd.DataFrame(
        {
            "epochs, %": 100 * by_strategy["share"].mean(),
            "within 1 point, %": 100 * by_strategy["lost"].agg(lambda lost: (lost <= POINT).mean()),
            "kept one within 1 point, %": 100
            * by_strategy["missed"].agg(lambda lost: (lost <= POINT).mean()),
            "points lost, mean": 100 * by_strategy["lost"].mean(),
            "points lost, most": 100 * by_strategy["lost"].max(),
        }
    )


def _costly(found: pd.DataFrame) -> float:
    return float((found["missed"] > POINT).mean())
