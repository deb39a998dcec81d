"""timm's models are told from torchvision's by name, and a wrong name by its neighbours."""

from __future__ import annotations

import pytest

from tests.conftest import config_of
from transfer.job import prepare
from transfer.models.families import family_named, meta_model
from transfer.models.head import features_of
from transfer.system.errors import ConfigError


def test_a_shared_name_is_two_models() -> None:
    ours = prepare(config_of("model=resnet18", "weights=none"))
    timms = prepare(config_of("model=timm", "model.name=resnet18", "weights=none"))
    assert timms.config.model.name == "timm/resnet18"
    assert (ours.name, timms.name) == ("resnet18-freeze5-seed0", "timm-resnet18-freeze5-seed0")
    assert ours.fingerprint != timms.fingerprint
    # The full name says enough by itself: a sweep may mix libraries.
    same = prepare(config_of("model=torchvision", "model.name=timm/resnet18", "weights=none"))
    assert same.fingerprint == timms.fingerprint


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("timm/resnet19", "no such classifier; choose from timm/resnet18, "),
        ("convnext_nano", "no such classifier; choose from timm/convnext_nano, "),
        ("timm/resnet18.a1_in1k", "names weights too; use model.name=timm/resnet18 weights=imagen"),
        ("timm/zzzzzzzz", "none has a name like it"),
        # Two heads, of which each has a say.
        ("timm/levit_128", "no such classifier; choose from timm/levit_"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as raised:
        family_named(name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "size", "features"),
    [
        ("test_convnext", 32, (64,)),
        ("test_vit", 48, (64,)),
        ("swin_tiny_patch4_window7_224", 64, (768,)),
        ("dla34", 64, (512, 1, 1)),
        ("volo_d1_224", 64, (384,)),
    ],
)
def test_a_model_is_built_for_the_size_that_is_asked_for(
    name: str, size: int, features: tuple[int, ...]
) -> None:
    model = meta_model(f"timm/{name}", size)
    images = next(model.parameters()).new_zeros(3, 3, size, size)
    assert features_of(model, images).shape == (3, *features)
