"""What the jobs of a sweep share is read once, however they are mixed on the command line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import config_of
from transfer.config.schema import DataConfig
from transfer.data import data_sets
from transfer.data.image_data import ImageData
from transfer.job import prepare
from transfer.models import sources
from transfer.models.weights import Weights
from transfer.sweep.turns import prepare_in_turn


def test_weights_are_hashed_and_images_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed, split_by = list[str](), list[int]()
    whole_read, whole_split = sources.read_weights, data_sets._split

    def counted_read(source: str, model_name: str, *others: Any) -> Weights:
        hashed.append(model_name)
        return whole_read(source, model_name, *others)

    def counted_split(config: DataConfig, *others: Any) -> ImageData:
        split_by.append(config.seed)
        return whole_split(config, *others)

    monkeypatch.setattr(sources, "read_weights", counted_read)
    monkeypatch.setattr(data_sets, "_split", counted_split)
    sources._read_once.cache_clear()
    models = ("mobilenet_v3_small", "resnet18")
    chosen = [config_of(f"model={model}") for model in models]
    jobs = [
        (replace(config, seed=seed, data=replace(config.data, seed=split)), [f"seed={seed}"])
        for seed in range(5)
        for split in (0, 1)
        for config in chosen
    ]
    found = dict(prepare_in_turn(jobs))
    assert sorted(found) == list(range(20))
    # Those of one split come first, and then those of the other.
    assert split_by in ([0, 1], [1])  # The first may be at hand from before.
    assert hashed == [*models, *models]
    assert [found[number].config.seed for number in range(20)] == [n // 4 for n in range(20)]
    assert len({job.fingerprint for job in found.values()}) == 20
    # What is at hand is what would be read.
    sources._read_once.cache_clear()
    alone = prepare(jobs[7][0])
    assert (alone.fingerprint, alone.name) == (found[7].fingerprint, found[7].name)
    assert alone.fit.loaded.keys() == found[7].fit.loaded.keys()
