"""The fingerprint follows what changes a result, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.conftest import config_of
from transfer.config import Config, configuration, fingerprint, flatten
from transfer.config.key import key
from transfer.config.schema import AugmentConfig

DIGESTS = {"data_digest": "d", "weights_digest": "none"}


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "epochs=13",
        "precision=bfloat16",
        "data.seed=1",
        "data.fold=0",
        "optimizer.lr=0.002",
        "optimizer.head_lr=0.002",
        "optimizer=adamw",
        "schedule=constant",
        "augment.flip=true",
        "precision=float32",
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
        "protocol.augment_evaluation_of=[resnet50]",
        "precision=auto",
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
    elsewhere = config_of(*folder, "data.train_folder=elsewhere")
    assert fingerprint(config_of(*folder), **DIGESTS) == fingerprint(elsewhere, **DIGESTS)


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


def test_folds_have_names_of_their_own_and_share_a_configuration() -> None:
    words = [
        *(f"data.fold={fold}" for fold in range(3)),
        "data.fold=0 data.folds=3",
    ]
    configs = [config_of(*each.split()) for each in ("seed=0", *words)]
    assert len({fingerprint(config, **DIGESTS) for config in configs}) == 5
    names = [configuration(config, **DIGESTS) for config in configs]
    assert names[1] == names[2] == names[3] and len(set(names)) == 3


def test_flatten_gives_dotted_keys() -> None:
    flat = flatten(config_of("augment.rotation=3"))
    assert flat["augment.rotation"] == 3
    assert flat["model.name"] == "resnet18"
    assert not any(isinstance(value, dict) for value in flat.values())


@dataclass
class _Augment(AugmentConfig):
    erasing: float = key(0.0, low=0, high=1)


@dataclass
class _Wider(Config):
    pruning: str = key("none", choices=("none", "filters"))


def _widened(config: Config, erasing: float = 0.0, pruning: str = "none") -> Config:
    augment = _Augment(**vars(config.augment), erasing=erasing)
    return _Wider(**vars(config) | {"augment": augment}, pruning=pruning)


def test_a_new_key_renames_nothing() -> None:
    config = config_of("seed=3", "epochs=7")
    names = [
        fingerprint(each, **DIGESTS)
        for each in (
            config,
            _widened(config),
            _widened(config, erasing=0.2),
            _widened(config, pruning="filters"),
        )
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_what_no_epoch_uses_is_no_part_of_a_name() -> None:
    for same in (
        ("freeze_epochs=0", "optimizer.head_lr=1"),
        ("freeze_epochs=0", "frozen_features=cache"),
        ("freeze_epochs=0", "protocol.frozen_batchnorm=drifting"),
        ("freeze_epochs=14", "optimizer.lr=1"),
        ("freeze_epochs=14", "optimizer.backbone_lr_scale=0.5"),
        ("freeze_epochs=14", "batchnorm_momentum=published"),
        ("protocol.validation=test", "data.validation_fraction=0.3"),
    ):
        one, other = config_of(same[0]), config_of(*same)
        assert fingerprint(one, **DIGESTS) == fingerprint(other, **DIGESTS)
