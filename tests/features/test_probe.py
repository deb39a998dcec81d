"""Probes answer for images that they have not learnt from, as textbooks' classifiers would."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from transfer.features.probe import (
    flat_features,
    linear_probe,
    nearest_neighbours,
    probe_seconds,
)


def _clusters(images: int, features: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(images) % 3
    centres = torch.randn(3, features, generator=generator)
    return centres[labels] + spread * torch.randn(images, features, generator=generator), labels


def _by_leaving_out(x: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """The slow way: a fit without each image, at each penalty; the answers of the best one."""
    scaled = ((x.double() - x.double().mean(0)) / x.double().std(0)).numpy()
    y, best = np.eye(3)[labels.numpy()], (np.inf, np.empty(0))
    for penalty in (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0):
        fits = []
        for at in range(len(y)):
            others = np.arange(len(y)) != at
            model = Ridge(alpha=penalty * len(y)).fit(scaled[others], y[others])
            fits.append(model.predict(scaled[[at]])[0])
        error = float(((np.stack(fits) - y) ** 2).sum())
        best = min(best, (error, np.stack(fits).argmax(1)), key=lambda each: each[0])
    return best[1]


@pytest.mark.parametrize("features", [5, 60])
def test_one_fit_answers_as_a_fit_without_each_image_would(features: int) -> None:
    x, labels = _clusters(36, features, spread=2.0)
    expected = _by_leaving_out(x, labels)
    assert linear_probe(x, labels).tolist() == expected.tolist()
    assert 0.4 < float((expected == labels.numpy()).mean()) < 1


def test_the_linear_probe_answers_for_other_images_by_the_chosen_penalty() -> None:
    x, labels = _clusters(90, 8, spread=0.5)
    # A feature that never differs says nothing, and divides by nothing.
    x[:, 3] = 7.0
    answers = linear_probe(x[:60], labels[:60], x[60:])
    assert (answers == labels[60:]).float().mean() > 0.9


def test_neighbours_vote_and_no_image_votes_for_itself() -> None:
    x, labels = _clusters(60, 8, spread=0.3)
    noted = labels.clone()
    noted[0] = 1
    answers = nearest_neighbours(x, noted)
    assert answers[0] == 0 and (answers[1:] == labels[1:]).float().mean() > 0.95
    assert torch.equal(nearest_neighbours(x[:30], labels[:30], x[30:]), labels[30:])


def test_labels_that_nothing_tells_are_guessed_by_chance() -> None:
    """Who let an image vote for itself, or learnt from it, would be right."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(300, 40, generator=generator)
    labels = torch.randint(3, (300,), generator=generator)
    for probe in (linear_probe, nearest_neighbours):
        assert (probe(x, labels) == labels).float().mean() < 0.45


def test_maps_become_means_and_what_is_too_wide_keeps_its_distances() -> None:
    maps = torch.rand(4, 6, 3, 3)
    assert torch.allclose(flat_features(maps), maps.mean(dim=(2, 3)))
    wide = torch.randn(6, 9000, generator=torch.Generator().manual_seed(0))
    narrow = flat_features(wide)
    assert narrow.shape == (6, 4096) and torch.equal(narrow, flat_features(wide))
    assert torch.allclose(torch.pdist(narrow), torch.pdist(wide), rtol=0.08)


def test_what_the_probes_take_is_known_beforehand() -> None:
    images, width = 3000, 512
    x, labels = _clusters(images, width, spread=2.0)
    start = time.process_time()
    linear_probe(x, labels)
    nearest_neighbours(x, labels)
    took = time.process_time() - start
    assert took / 5 < probe_seconds(images, width) < 5 * took
    # Of many images the neighbours take most: their square counts.
    assert probe_seconds(50_000, width) > 50 * probe_seconds(5000, width)
    # More features than that are projected to as many.
    assert probe_seconds(images, 25_088) == probe_seconds(images, 4096)
