"""Simulated sweeps, with variances as the recorded runs have them, for the proof of verdicts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import optimize, stats

from transfer.compare.rows import Row, build_rows
from transfer.tracking.artifacts import NO_HISTORY, Predictions
from transfer.tracking.run_record import RunRecord

RECORDED = Path(__file__).resolve().parents[2] / "experiments/results/cifar10/runs"
CLASSES = 10
_NAMES = [f"class {number}" for number in range(CLASSES)]
_POOL = 1 << 22


@dataclass(frozen=True)
class Components:
    """What luck the recorded runs had; correlations are of right answers over test images.

    Attributes:
        accuracy: mean of the configurations with three seeds.
        within: correlation of two trainings of one recipe.
        alike, unlike: that of two recipes, of those with three seeds and of all others.
        seed: standard deviation of a training's accuracy on very many images.
        share: of the variance of right answers over images, what every training has.
    """

    accuracy: float
    within: float
    alike: float
    unlike: float
    seed: float
    share: float


def recorded_components() -> Components:
    answers: dict[str, list[np.ndarray]] = {}
    for folder in sorted(path.parent for path in RECORDED.glob("*/run.json")):
        run = json.loads((folder / "run.json").read_text())
        with np.load(folder / "predictions.npz") as saved:
            right = (saved["predicted"] == saved["labels"]).astype(np.float64)
        answers.setdefault(run["tags"]["transfer.configuration"], []).append(right)
    repeated = [np.stack(runs) for runs in answers.values() if len(runs) > 1]
    parts = np.array([_variances(runs) for runs in repeated])
    images, seeds, residual = parts.mean(axis=0)
    one, other = repeated[:2]
    first = [runs[0] for runs in answers.values()]
    pairs = [np.corrcoef(a, b)[0, 1] for a, b in combinations(first, 2)]
    mean = float(np.mean([runs.mean() for runs in repeated]))
    alike = float(np.mean([np.corrcoef(a, b)[0, 1] for a in one for b in other]))
    return Components(
        accuracy=mean,
        within=float(np.mean([_mean_correlation(runs) for runs in repeated])),
        alike=alike,
        unlike=float(np.median(pairs)),
        seed=float(np.sqrt(max(seeds, 0))),
        share=float(images / (images + seeds + residual)),
    )


def _variances(scores: np.ndarray) -> tuple[float, float, float]:
    """Split scores [S, N] in a two-way layout: variances of images, of seeds, and what is left."""
    seeds, images = scores.shape
    rows, columns, mean = scores.mean(axis=1), scores.mean(axis=0), scores.mean()
    of_seeds = images * np.sum((rows - mean) ** 2) / (seeds - 1)
    of_images = seeds * np.sum((columns - mean) ** 2) / (images - 1)
    left = np.sum((scores - rows[:, None] - columns + mean) ** 2) / (seeds - 1) / (images - 1)
    return (of_images - left) / seeds, (of_seeds - left) / images, left


def _mean_correlation(scores: np.ndarray) -> float:
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in combinations(scores, 2)]))


class Sweeps:
    """Draws sweeps. A network answers an image rightly where a normal sum is above a threshold: of
    how easy the image is, of how easy for the recipe, of chance in this training on this image,
    and of how well the training went."""

    def __init__(self, components: Components, random: np.random.Generator) -> None:
        self.components, self.random = components, random
        self._pool = random.standard_normal(_POOL, dtype=np.float32)
        self._within = _latent(components.within, components.accuracy)
        self._between = {
            name: _latent(getattr(components, name), components.accuracy)
            for name in ("alike", "unlike")
        }
        density = stats.norm.pdf(stats.norm.ppf(components.accuracy))
        self._seed = components.seed / density

    def draw(
        self,
        truth: np.ndarray,
        seeds: int,
        images: int,
        kind: str,
        *,
        scatter: float = 1.0,
        validation_noise: float = 0.006,
    ) -> Sweep:
        """A sweep over recipes with these true accuracies.

        Args:
            kind: how like each other the recipes are, "alike" or "unlike".
            scatter: times that of the recorded trainings.
            validation_noise: standard deviation of what validation images add to an accuracy.
        """
        spread = self._seed * scatter
        between = min(self._between[kind], self._within)
        thresholds = stats.norm.ppf(truth) * np.sqrt(1 + spread**2)
        luck = self.random.normal(0, spread, (len(truth), seeds))
        easy = np.sqrt(between) * self._normal(images)
        labels = (np.arange(images) % CLASSES).astype(np.int16)
        wrong = ((labels + 1) % CLASSES).astype(np.int16)
        confidence = np.full(images, 0.75, dtype=np.float32)
        runs, answers = [], {}
        for recipe, threshold in enumerate(thresholds):
            of_recipe = easy + np.sqrt(self._within - between) * self._normal(images)
            for seed in range(seeds):
                limit = -(threshold + luck[recipe, seed])
                chance = np.float32(np.sqrt(1 - self._within)) * self._normal(images)
                right = of_recipe + chance > np.float32(limit)
                accuracy = float(right.mean())
                validation = stats.norm.cdf(-limit) + self.random.normal(0, validation_noise)
                run = _record(recipe, seed, accuracy, float(validation))
                runs.append(run)
                predicted = np.where(right, labels, wrong)
                answers[run.id] = Predictions(labels, predicted, confidence, _NAMES)
        rows = build_rows(runs, lambda run: NO_HISTORY, lambda run: answers[run.id])
        return Sweep(rows, truth, stats.norm.cdf(thresholds[:, None] + luck))

    def _normal(self, count: int) -> np.ndarray:
        start = int(self.random.integers(_POOL - count))
        return self._pool[start : start + count]


@dataclass(frozen=True)
class Sweep:
    """A sweep's rows, and the truth about them.

    Attributes:
        truth: [R], of recipes.
        networks: [R, S], of each network.
    """

    rows: list[Row]
    truth: np.ndarray
    networks: np.ndarray

    @property
    def recipes(self) -> list[int]:
        """Which recipe each row is."""
        return [int(row.params["model.name"].removeprefix("recipe")) for row in self.rows]


def _latent(correlation: float, accuracy: float) -> float:
    """The correlation of two normal numbers that are both above their threshold so often."""
    limit = stats.norm.ppf(accuracy)
    variance = accuracy * (1 - accuracy)

    def excess(latent: float) -> float:
        both = stats.multivariate_normal([0, 0], [[1, latent], [latent, 1]]).cdf([limit, limit])
        return float((both - accuracy**2) / variance - correlation)

    return float(optimize.brentq(excess, 0.0, 0.9999))


def _record(recipe: int, seed: int, accuracy: float, validation: float) -> RunRecord:
    return RunRecord(
        id=f"{recipe}-{seed}",
        name=f"recipe{recipe}-seed{seed}",
        status="FINISHED",
        params={"model.name": f"recipe{recipe}", "seed": f"{seed}", "data.test_digest": "same"},
        metrics={
            "test/acc": accuracy,
            "best/val_acc": validation,
            "time/train_s": 60.0,
            "profile/macs": 1e6,
        },
        tags={"transfer.configuration": f"{recipe}"},
    )
