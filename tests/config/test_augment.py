"""Which augmentation a job has: the data set's, unless an experiment or a person chooses."""

from __future__ import annotations

import pytest

from tests.conftest import config_of
from transfer.config import fingerprint
from transfer.config.key import leaves
from transfer.config.schema import GROUPS, AugmentConfig

DIGESTS = {"data_digest": "d", "weights_digest": "none"}


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ("", "characters"),
        ("data=cifar10", "crop_flip"),
        ("data=cifar100", "crop_flip"),
        ("data=fashion_mnist", "crop_flip"),
        ("data=image_folder data.root=x", "photo"),
        ("data=cifar10 augment=trivial", "trivial"),
        ("augment=none data=image_folder data.root=x", "none"),
        ("experiment=article", "article"),
        ("experiment=article_as_published", "article"),
        ("experiment=article data=image_folder data.root=x", "article"),
        ("experiment=article augment=crop_flip", "crop_flip"),
        ("experiment=fast data=image_folder data.root=x", "photo"),
        ("experiment=fast data=digits", "characters"),
        ("experiment=fast augment=characters", "characters"),
        ("experiment=pretrain data.root=x", "crop_flip"),
        ("experiment=cifar10_scratch data.root=x", "article"),
    ],
)
def test_who_chooses(overrides: str, name: str) -> None:
    assert config_of(*overrides.split()).augment.name == name


def test_keys_stand_beside_a_choice() -> None:
    augment = config_of("augment.rotation=5", "augment=photo", "augment.cutmix=1").augment
    assert (augment.rotation, augment.cutmix, augment.flip) == (5, 1, True)
    assert 0 < augment.crop_scale < 1


def test_the_articles_are_what_they_were() -> None:
    chosen = {name: value for name, _, value in leaves(config_of("experiment=article").augment)}
    on = {"crop_padding": 4, "flip": True, "hue": 0.1, "rotation": 15}
    on |= dict.fromkeys(("brightness", "contrast", "saturation"), 0.2)
    assert chosen == vars(AugmentConfig()) | on | {"name": "article"}


def test_a_result_is_named_by_what_is_done_and_not_by_its_name() -> None:
    named = {
        choice: fingerprint(config_of(f"augment={choice}"), **DIGESTS)
        for choice in GROUPS["augment"]
    }
    assert len(set(named.values())) == len(named)
    by_keys = config_of("augment=none", "augment.crop_padding=4", "augment.flip=true")
    assert fingerprint(by_keys, **DIGESTS) == named["crop_flip"]
    # Without mixtures, how many there are is no part of it.
    assert (
        fingerprint(config_of("augment=none", "augment.mix_probability=1"), **DIGESTS)
        == (named["none"])
    )
