"""Two kinds of luck at once, against the textbook's layout and the truth of simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.compare.runs import make_predictions, make_rows, make_run
from transfer.compare.comparison import Comparison
from transfer.compare.criterion import CRITERIA
from transfer.compare.crossed import NO_SCATTER, Scatter, differences, units
from transfer.compare.replicates import Replicate
from transfer.compare.scores import image_scores
from transfer.compare.uncertain import Variance, half_width, p_values
from transfer.tracking.artifacts import NO_HISTORY, Predictions


def _variance(estimated: float, freedom: float, known: float, least: float = 0.0) -> Variance:
    return Variance(*(np.array(float(each)) for each in (estimated, freedom, least, known)))


@pytest.mark.parametrize("freedom", [1, 2, 3.5, 30, 400])
@pytest.mark.parametrize("size", [0.3, 2.0, 6.0])
def test_without_a_known_part_it_is_students_test(freedom: float, size: float) -> None:
    expected = 2 * stats.t.sf(size, freedom)
    assert float(p_values(2 * size, _variance(4, freedom, 0))) == pytest.approx(expected, rel=2e-3)
    bound = half_width(0.95, _variance(4, freedom, 0))
    assert bound == pytest.approx(2 * stats.t.ppf(0.975, freedom), rel=2e-3)


def test_without_an_estimated_part_it_is_the_normals() -> None:
    assert float(p_values(1.0, _variance(0, 1, 0.25))) == pytest.approx(2 * stats.norm.sf(2))
    # What the scatter of replicates cannot be below counts however small it came out.
    assert float(p_values(1.0, _variance(1e-9, 1, 0, 0.25))) == pytest.approx(
        2 * stats.norm.sf(2), rel=1e-3
    )
    assert (
        float(p_values(0.0, _variance(0, 1, 0))) == 1 and half_width(0.9, _variance(0, 1, 0)) == 0
    )
    many = Variance(*np.full((4, 10_000), [[1.0], [2.0], [0.0], [0.5]]))
    found = p_values(np.linspace(0, 5, 10_000), many)
    assert (np.diff(found) <= 0).all()
    assert found[7777] == pytest.approx(float(p_values(np.linspace(0, 5, 10_000)[7777], many[0])))


@pytest.mark.parametrize("freedom", [1, 2])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_equal_means_are_told_apart_in_at_most_one_case_in_twenty(
    freedom: int, share: float
) -> None:
    """However much of the variance was estimated from a value or two; in the tails as well, which
    Satterthwaite's degrees of freedom overrate many times."""
    random, count = np.random.default_rng(0), 20_000
    estimated = share * random.chisquare(freedom, count) / freedom
    known = np.full(count, 1 - share)
    variance = Variance(estimated, np.full(count, float(freedom)), np.zeros(count), known)
    found = p_values(random.normal(size=count), variance)
    assert (found < 0.05).mean() < 0.055
    assert (found < 0.001).mean() < 0.002


def _layout(values: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of replicates, images and what is left, [S, N], as a textbook has them."""
    replicates, images = values.shape
    rows, columns, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    left = values - rows[:, None] - columns + mean
    return (
        images * np.sum((rows - mean) ** 2) / (replicates - 1),
        replicates * np.sum((columns - mean) ** 2) / (images - 1),
        np.sum(left**2) / (replicates - 1) / (images - 1),
    )


def test_the_variance_is_that_of_the_two_way_layout() -> None:
    random = np.random.default_rng(3)
    right = random.random((2, 3, 500)) < random.random((1, 1, 500))
    answers = [make_predictions(each) for each in right.reshape(6, 500)]
    scores = image_scores(answers, CRITERIA["acc"])
    draws = units([Replicate(seed, 0, -1) for seed in range(3)])
    first, second = np.array([[0, 1, 2]]), np.array([[3, 4, 5]])
    found = differences(scores, first, second, draws, scatter=NO_SCATTER, overlap=0.0)
    values = right[0].astype(float) - right[1]
    of_images, left = _layout(values)[1:]
    assert found.mean.item() == pytest.approx(values.mean())
    assert found.variance.known.item() == pytest.approx((of_images - left) / 1500, rel=1e-4)
    assert found.variance.least.item() == pytest.approx(left / 1500, rel=1e-4)
    own = sum(_layout(each.astype(float))[0] for each in right)
    assert found.variance.estimated.item() == pytest.approx(own / 1500, rel=1e-4)
    # With training sets that overlap, what replicates differ by beyond these images counts more.
    found = differences(scores, first, second, draws, scatter=NO_SCATTER, overlap=0.5)
    more = max(own - left, 0) / 500 * 0.5
    assert found.variance.estimated.item() == pytest.approx(own / 1500 + more, rel=1e-4)


def test_a_recipes_scatter_is_drawn_towards_that_of_the_others() -> None:
    alone, freedom = Scatter(4.0, 1.0).moderate(np.array([1.0]), 1.0)
    assert (alone.item(), freedom) == (1.0, 1.0)
    # Two degrees of freedom at most, and a third of what the others have.
    moderated, freedom = Scatter(4.0, 100.0).moderate(np.array([1.0]), 1.0)
    assert (moderated.item(), freedom) == (3.0, 3.0)
    moderated, freedom = Scatter(4.0, 4.0).moderate(np.array([1.0]), 1.0)
    assert (moderated.item(), freedom) == (2.5, 2.0)


def test_trainings_on_one_split_are_one_draw_of_several() -> None:
    replicates = [Replicate(seed, split, -1) for split in (0, 1) for seed in (0, 1, 2)]
    assert units(replicates).shape == (6, 2)
    assert units(replicates[:3]).tolist() == np.eye(3).tolist()
    assert units(replicates).sum(axis=0).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("name", ["acc", "balanced_acc", "loss"])
def test_recipes_that_are_equal_on_new_images_are_rarely_called_different(name: str) -> None:
    """By each measure: 200 sweeps of two recipes, three seeds and 300 images of uneven classes."""
    random, false = np.random.default_rng(0), 0
    labels = np.repeat(np.arange(3, dtype=np.int16), [200, 70, 30])
    for _ in range(200):
        runs, answers = [], {}
        easy = random.normal(size=300)
        for model in "ab":
            own = random.normal(size=300)
            for seed in range(3):
                luck = random.normal(0, 0.05) + random.normal(0, 0.6, 300)
                logit = easy + own + luck + 0.5
                run = make_run(model, 0, seed, 0.5, select_by=name)
                predicted = np.where(logit > 0, labels, (labels + 1) % 3).astype(np.int16)
                loss = np.log1p(np.exp(-logit)).astype(np.float32)
                sure = np.full(300, 0.75, dtype=np.float32)
                answers[run.id] = Predictions(labels, predicted, sure, ["x", "y", "z"], loss)
                run.metrics[f"test/{name}"] = 0.5
                runs.append(run)
        pair = Comparison(make_rows(runs, dict.fromkeys(answers, NO_HISTORY), answers)).pair(0, 1)
        assert pair.recipe.kind != "unknown"
        false += pair.recipe.significant
    assert false <= 18
