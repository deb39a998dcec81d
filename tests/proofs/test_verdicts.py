"""How often verdicts are false, intervals hold the truth and chances come true.

Sweeps are simulated with the variances of the recorded CIFAR-10 runs and go through the report's
own rows and comparison. Tables are printed; docs/statistics.md has them.
"""

from __future__ import annotations

import math
import os
from itertools import pairwise

import numpy as np
import pytest

from tests.proofs.learners import LAYOUTS, learned_sweep
from tests.proofs.sweeps import Sweep, Sweeps, recorded_components
from transfer.compare.comparison import Comparison
from transfer.compare.statistics import holm, mcnemar_p_values, paired_differences

SEED = int(os.environ.get("PROOF_SEED", "0"))
KINDS = ("alike", "unlike")
IMAGES = (359, 10_000)
SEEDS = (2, 3, 5, 10)
# Simulations of so many recipes: of many, few have a false verdict, which is known well sooner.
COUNTS = {2: 600, 8: 400, 40: 300}


@pytest.fixture(scope="module")
def sweeps() -> Sweeps:
    components = recorded_components()
    print(f"\nPROOF_SEED={SEED}; recorded: {components}")
    return Sweeps(components, np.random.default_rng(SEED))


def test_where_nothing_differs_at_most_one_report_in_twenty_says_so(sweeps: Sweeps) -> None:
    """Also where trainings scatter three times as far as the recorded ones did."""
    accuracy = sweeps.components.accuracy
    header = ("scatter", "images", "recipes", "seeds", "false", "before", "difference", "accuracy")
    lines = _table([*header, "first row", "equivalent"])
    for scale, images, recipes, seeds in _cells():
        count = COUNTS[recipes]
        false, before, kept, held, headline, equal = [], [], [], [], [], []
        for number in range(count):
            kind = KINDS[number % 2]
            truth = np.full(recipes, accuracy)
            sweep = sweeps.draw(truth, seeds, images, kind, scatter=scale)
            comparison = Comparison(sweep.rows)
            # Not by their places: validation puts first whose trainings were lucky.
            places = np.argsort(sweep.recipes).tolist()
            pairs = [
                comparison.pair(*sorted(places[index : index + 2]))
                for index in range(0, recipes, 2)
            ]
            ranks = [rank for rank in comparison.ranks if rank is not None]
            assert len(ranks) == recipes
            false.append(max(ranks) > 1)
            before.append(_before(sweep))
            kept += [pair.recipe.p_value >= 0.05 for pair in pairs]
            equal += [pair.recipe.kind == "equivalent" for pair in pairs]
            held += [_holds(sweep.rows[place].accuracy, accuracy) for place in places[:2]]
            headline.append(_holds(sweep.rows[0].accuracy, accuracy))
        rates = (false, before, kept, held, headline, equal)
        _print(lines, [scale, images, recipes, seeds, *map(_percent, rates)])
        share = float(np.mean(false))
        assert share <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / count)
        # As far as so many sweeps can tell; two rows of each are looked at.
        least = 0.93 - 2 * math.sqrt(0.05 * 0.95 / count)
        assert np.mean(kept) >= least and np.mean(held) >= least


def test_what_differs_is_found(sweeps: Sweeps) -> None:
    lines = _table(["seeds", "difference", "kind", "found", "wrong way", "interval holds it"])
    accuracy = sweeps.components.accuracy
    for seeds in (3, 5):
        for points in (1, 2, 5):
            for kind in KINDS:
                found, wrong, held = [], [], []
                for _ in range(300):
                    truth = np.array([accuracy + points / 200, accuracy - points / 200])
                    sweep = sweeps.draw(truth, seeds, 10_000, kind)
                    pair = Comparison(sweep.rows).pair(0, 1)
                    lead = truth[sweep.recipes[0]] - truth[sweep.recipes[1]]
                    right = "better" if lead > 0 else "worse"
                    found.append(pair.recipe.kind == right)
                    wrong.append(pair.recipe.significant and pair.recipe.kind != right)
                    held.append(_holds(pair.difference, lead))
                rates = map(_percent, (found, wrong, held))
                _print(lines, [seeds, f"{points} points", kind, *rates])
                assert np.mean(held) >= 0.92 and np.mean(wrong) <= 0.01
                assert points < 5 or np.mean(found) > 0.95


def test_the_chance_of_being_the_best_comes_true(sweeps: Sweeps) -> None:
    """Over recipes whose true accuracies scatter by half a point, one and two."""
    random = np.random.default_rng(SEED + 1)
    chances, truths, held, lost, told = [], [], [], [], []
    for number in range(2160):
        spread = (0.005, 0.01, 0.02)[number % 3]
        recipes, seeds = (2, 5, 12)[number // 3 % 3], (2, 3, 5)[number // 9 % 3]
        images, kind = IMAGES[number // 27 % 2], KINDS[number // 54 % 2]
        truth = sweeps.components.accuracy + random.normal(0, spread, recipes)
        # In an order that says nothing, so that the choice has the test images alone to go by.
        sweep = sweeps.draw(truth, seeds, images, kind, validation_noise=1.0)
        decision = Comparison(sweep.rows).decision
        assert decision is not None
        ordered = truth[sweep.recipes]
        chances += decision.probability_best
        truths += list(ordered == ordered.max())
        loss = float(ordered.max() - ordered[0])
        held.append(_holds(decision.expected_loss, loss))
        lost.append(loss)
        told.append(decision.expected_loss.estimate)
    lines = _table(["chance given", "rows", "mean chance", "were the best"])
    given, best = np.array(chances), np.array(truths)
    for low, high in pairwise(np.linspace(0, 1, 11)):
        members = (given >= low) & ((given < high) | (high == 1))
        rates = (_percent(given[members]), _percent(best[members]))
        _print(lines, [f"{low:.1f} to {high:.1f}", members.sum(), *rates])
        # Ten shares are looked at.
        error = 3 * math.sqrt(0.25 / max(members.sum(), 1))
        assert low - error <= best[members].mean() <= high + error
    print(f"expected loss: {100 * np.mean(told):.3f} points told, {100 * np.mean(lost):.3f} lost;")
    print(f"its interval holds the loss in {_percent(held)}")
    assert np.mean(held) >= 0.93
    assert abs(np.mean(told) - np.mean(lost)) < 0.15 * np.mean(lost)


def test_a_network_is_not_called_the_better_one_that_is_the_worse(sweeps: Sweeps) -> None:
    """One seed: of two networks that differ by as much as seeds make them."""
    lines = _table(["images", "kind", "told apart", "wrong way", "accuracy"])
    for images in IMAGES:
        for kind in KINDS:
            told, wrong, held = [], [], []
            for _ in range(600):
                truth = np.full(2, sweeps.components.accuracy)
                sweep = sweeps.draw(truth, 1, images, kind)
                comparison = Comparison(sweep.rows)
                pair, networks = comparison.pair(0, 1), sweep.networks[sweep.recipes, 0]
                assert pair.recipe.kind == "unknown" and comparison.ranked_by == "network"
                right = "better" if networks[0] > networks[1] else "worse"
                told.append(pair.network.significant)
                wrong.append(pair.network.significant and pair.network.kind != right)
                held += [
                    _holds(row.accuracy, true)
                    for row, true in zip(sweep.rows, networks, strict=True)
                ]
            _print(lines, [images, kind, *map(_percent, (told, wrong, held))])
            assert np.mean(wrong) <= 0.05 and np.mean(held) >= 0.93


@pytest.mark.parametrize("layout", LAYOUTS)
def test_training_sets_that_overlap_are_counted_as_such(layout: str) -> None:
    """Real learners on 300 images: two that are equally good on data that one did not see."""
    random = np.random.default_rng(SEED + 2)
    false, held = [], []
    for _ in range(600):
        pair = Comparison(learned_sweep(layout, random)).pair(0, 1)
        false.append(pair.recipe.significant)
        held.append(_holds(pair.difference, 0.0))
    print(f"\n{layout}: false {_percent(false)}, difference {_percent(held)}")
    assert np.mean(false) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 600)


def _cells() -> list[tuple[float, int, int, int]]:
    cells = [(1.0, n, r, s) for n in IMAGES for r in COUNTS for s in SEEDS]
    return [*cells, *((3.0, 10_000, r, s) for r in (2, 8) for s in (2, 3, 10))]


def _before(sweep: Sweep) -> bool:
    """Whether any two were called different as it was before: by Student's paired test over three
    seeds or more, and else by McNemar's on the first seed."""
    accuracies = np.array([row.metric("test/acc") for row in sweep.rows])
    first, second = np.triu_indices(len(accuracies), k=1)
    if accuracies.shape[1] >= 3:
        p_values = paired_differences(accuracies[first] - accuracies[second]).p_value
    else:
        right = np.array([row.answers[0].correct for row in sweep.rows], dtype=np.float32)
        only = np.rint(right @ (1 - right).T).astype(np.float64)
        p_values = mcnemar_p_values(only, only.T)[first, second]
    return bool((holm(p_values) < 0.05).any())


def _holds(interval: object, truth: float) -> bool:
    low, high = interval.low, interval.high  # type: ignore[attr-defined]
    return bool(low - 1e-12 <= truth <= high + 1e-12)


def _percent(values: object) -> str:
    return f"{100 * float(np.mean(np.asarray(values))):.1f} %"


def _table(names: list[str]) -> list[str]:
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    print("\n" + "\n".join(lines))
    return lines


def _print(lines: list[str], cells: list[object]) -> None:
    lines.append(f"| {' | '.join(map(str, cells))} |")
    print(lines[-1], flush=True)
