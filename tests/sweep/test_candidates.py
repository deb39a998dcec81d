"""Which candidates a command line means."""

from __future__ import annotations

import pytest

from transfer.config import register_schema
from transfer.sweep.candidates import compose_candidates
from transfer.system.errors import ConfigError

register_schema()


def _names(*overrides: str) -> list[tuple[str, str, int]]:
    found = compose_candidates(overrides)
    return [(each.model.name, each.weights, each.image_size) for each in found]


def test_every_combination_is_one_and_weights_and_sizes_are_each_models_own() -> None:
    assert _names("model=resnet18,efficientnet_lite1") == [
        ("resnet18", "auto", 32),
        ("efficientnet_lite1", "auto", 240),
    ]
    # With what makes train.py a sweep, too.
    assert _names("-m", "model=simple_cnn", "preview=false") == [("simple_cnn", "auto", 32)]
    assert _names("model=resnet18", "weights=starter,none", "image_size=48,64") == [
        ("resnet18", "starter", 48),
        ("resnet18", "starter", 64),
        ("resnet18", "none", 48),
        ("resnet18", "none", 64),
    ]
    # What says no size leaves it as it was composed.
    assert _names("model=simple_cnn", "weights=none") == [("simple_cnn", "none", 32)]


def test_an_experiment_chooses_weights_and_size() -> None:
    words = ("experiment=photos", "data.root=photos", "model=resnet18,efficientnet_lite1")
    assert {(weights, size) for _, weights, size in _names(*words)} == {("auto", 224)}


def test_all_are_those_whose_weights_are_at_hand() -> None:
    found = _names("model=all")
    assert ("resnet18", "starter", 32) in found
    assert ("efficientnet_lite2", "imagenet", 260) in found
    assert not any(name.startswith("vgg") for name, _, _ in found)
    with pytest.raises(ConfigError, match=r"weights=none: model=all brings the weights"):
        _names("model=all", "weights=none")


def test_mistakes_are_told_as_by_a_sweep() -> None:
    with pytest.raises(ConfigError, match="image_size=7"):
        _names("model=resnet18", "image_size=7")
    with pytest.raises(ConfigError, match=r"model=resnet18: vgg11 would be trained in its place"):
        _names("model=resnet18", "model.name=vgg11")
    with pytest.raises(ConfigError, match=r"^model=all,resnet18: all stands for every model"):
        _names("model=all,resnet18")
    with pytest.raises(ConfigError, match=r"^preview=true: a screen trains nothing, and is"):
        _names("model=resnet18", "preview=true")
    with pytest.raises(ConfigError, match="gives no value to sweep over"):
        _names("model=resnet18", "seed=range(0)")
