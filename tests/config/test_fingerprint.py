"""The fingerprint follows what changes a result, and nothing else."""

from __future__ import annotations

import pytest

from tests.conftest import config_of
from transfer.config import configuration, fingerprint, flatten

DIGESTS = {"data_digest": "d", "weights_digest": "none"}


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "epochs=39",
        "precision=bfloat16",
        "data.seed=1",
        "optimizer.lr=0.002",
        "model=resnet50",
        "frozen_features=cache",
    ],
)
def test_changes_with_what_changes_a_result(override: str) -> None:
    assert fingerprint(config_of(), **DIGESTS) != fingerprint(config_of(override), **DIGESTS)


@pytest.mark.parametrize(
    "override",
    [
        "device=cuda:1",
        "tracking.uri=http://x",
        "data.root=elsewhere",
        "feature_views=3",
        "data.resident_gb=0",
    ],
)
def test_stays_with_what_does_not(override: str) -> None:
    assert fingerprint(config_of(), **DIGESTS) == fingerprint(config_of(override), **DIGESTS)


def test_skipping_counts_by_the_images_that_are_left() -> None:
    """They are in the data's digest: where nothing was skipped, it is the same result."""
    folder = ("data=image_folder", "data.root=x")
    skip = config_of(*folder, "data.on_bad_image=skip")
    assert fingerprint(config_of(*folder), **DIGESTS) == fingerprint(skip, **DIGESTS)


def test_changes_with_the_content_of_data_and_weights() -> None:
    names = {
        fingerprint(config_of(), data_digest=data, weights_digest=weights)
        for data in "ab"
        for weights in "cd"
    }
    assert len(names) == 4


def test_a_configuration_is_shared_by_its_seeds() -> None:
    seeds = [config_of("seed=0"), config_of("seed=1")]
    assert len({configuration(config, **DIGESTS) for config in seeds}) == 1


def test_flatten_gives_dotted_keys() -> None:
    flat = flatten(config_of("data.augment.rotation=3"))
    assert flat["data.augment.rotation"] == 3
    assert flat["model.name"] == "resnet18"
    assert not any(isinstance(value, dict) for value in flat.values())
