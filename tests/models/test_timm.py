"""timm's models are told from torchvision's by name, and a wrong name by its neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import config_of
from transfer.job import prepare
from transfer.models.families import build_model, family_named, meta_model
from transfer.models.families.timm import load_timm
from transfer.models.head import features_of
from transfer.models.sources import read_weights
from transfer.models.weights import Weights, match_weights
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
        (
            "timm/resnet18.a1_in1k",
            "model.name=timm/resnet18, and the weights weights=imagenet:a1_in",
        ),
        # Names of timm's past, as Quick-Tune and AutoGluon have them.
        (
            "timm/gluon_resnet18_v1b",
            "model.name=timm/resnet18, and the weights weights=imagenet:glu",
        ),
        (
            "convnext_base_in22ft1k",
            "model.name=timm/convnext_base, and the weights weights=imagene",
        ),
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
        # It keeps a tensor of each pass.
        ("efficientvit_m0", 64, (192,)),
    ],
)
def test_a_model_is_built_for_the_size_that_is_asked_for(
    name: str, size: int, features: tuple[int, ...]
) -> None:
    model = meta_model(f"timm/{name}", size)
    images = next(model.parameters()).new_zeros(3, 3, size, size)
    assert features_of(model, images).shape == (3, *features)


def test_published_weights_come_from_the_hub_and_say_what_images_they_expect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    family = family_named("timm/test_resnet")
    cfg = load_timm().get_pretrained_cfg("test_resnet")
    published = family.published("timm/test_resnet")[0]
    assert published.url == f"https://huggingface.co/{cfg.hf_hub_id}/resolve/main/model.safetensors"
    assert (published.mean, published.std) == (cfg.mean, cfg.std)
    assert (published.crop, published.resize) == (160, int(160 / cfg.crop_pct))
    entries = [each.entry for each in family.published("timm/convnext_nano")]
    assert entries[0] == "in12k_ft_in1k" and "d1h_in1k" in entries

    # As the hub's client leaves what it has downloaded.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / f"models--{cfg.hf_hub_id.replace('/', '--')}"
    snapshot = folder / "snapshots" / "1"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("1")
    snapshot.mkdir(parents=True)
    made = load_timm().create_model("test_resnet")
    save_file(made.state_dict(), snapshot / "model.safetensors")
    weights = read_weights("imagenet", "timm/test_resnet")
    model = meta_model("timm/test_resnet", 64)
    fit = match_weights(model, weights)
    assert fit.left_out == ("fc.weight", "fc.bias") and not fit.resized
    assert all(torch.equal(made.state_dict()[name], each) for name, each in fit.loaded.items())


def test_published_weights_outside_the_hub_are_unwrapped_as_timm_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "timm/legacy_seresnet18"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (published,) = family_named(name).published(name)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    state = build_model(name, 1000, 64).state_dict()
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": each for key, each in state.items()}}
    cached = folder / Path(published.url).name
    torch.save(wrapped, cached)
    read = read_weights("imagenet", name).state
    assert read is not None and all(torch.equal(each, state[key]) for key, each in read.items())
    cached.write_bytes(b"half")
    with pytest.raises(ConfigError, match=rf"{cached} could not be read .*; remove it"):
        read_weights("imagenet", name)


def test_without_a_network_one_line_says_what_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    with pytest.raises(ConfigError, match=r"weights=imagenet: needs .* weights=none, or") as raised:
        read_weights("imagenet", "timm/convnext_nano")
    assert "\n" not in str(raised.value)


def _no_network(*_: object, **__: object) -> NoReturn:
    raise OSError("no network")


@pytest.mark.parametrize(
    ("name", "native", "size", "resized"),
    [
        ("test_vit", 160, 96, "pos_embed"),
        ("swin_s3_tiny_224", 224, 64, "relative_position_bias_table"),
        ("test_convnext", 160, 96, None),
        # Those whose modules do not convert checkpoints: rows and columns, tokens, channels first.
        ("volo_d1_224", 64, 96, "pos_embed"),
        ("convit_tiny", 64, 96, "pos_embed"),
        ("visformer_tiny", 64, 96, "pos_embed"),
    ],
)
def test_weights_of_another_size_are_interpolated(
    name: str, native: int, size: int, resized: str | None
) -> None:
    name = f"timm/{name}"
    state = build_model(name, 5, native).state_dict()
    fit = match_weights(meta_model(name, size), Weights("file.pth", "", state))
    assert all(resized in each for each in fit.resized) if resized else not fit.resized
    assert bool(fit.resized) == bool(resized) == ("interpolated" in str(fit))
    model = build_model(name, 7, size)
    model.load_state_dict(fit.loaded, strict=False)
    assert model.eval()(torch.randn(2, 3, size, size)).isfinite().all()
    native_fit = match_weights(meta_model(name, native), Weights("file.pth", "", state))
    assert not native_fit.resized
    assert all(torch.equal(state[name], each) for name, each in native_fit.loaded.items())


def test_weights_of_another_network_are_refused_by_their_names() -> None:
    state = build_model("resnet18", 5, 32).state_dict()
    with pytest.raises(ConfigError, match="does not fit VisionTransformer"):
        match_weights(meta_model("timm/test_vit", 64), Weights("file.pth", "", state))


def test_a_file_is_told_of_the_normalisations_that_the_model_is_published_with(
    tmp_path: Path,
) -> None:
    """timm's own choice for this one was trained with ImageNet's mean and std, another with 0.5."""
    name = "timm/mobilenetv4_conv_small"
    torch.save({"model": build_model(name, 5, 32).state_dict()}, tmp_path / "a.pth")
    weights = read_weights(str(tmp_path / "a.pth"), name, meta_model(name, 32))
    cfgs = [
        load_timm().get_pretrained_cfg(f"mobilenetv4_conv_small.{each.entry}")
        for each in family_named(name).published(name)
    ]
    assert weights.normalization is not None and weights.normalization.mean == cfgs[0].mean
    typed = "data.mean=[0.5,0.5,0.5] data.std=[0.5,0.5,0.5]"
    assert cfgs[0].mean != (0.5,) * 3
    assert f"found under model; the model is also published with {typed} (" in weights.note
    # Where all agree there is nothing to tell.
    torch.save(build_model("timm/resnet18", 5, 32).state_dict(), tmp_path / "b.pth")
    model = meta_model("timm/resnet18", 32)
    assert not read_weights(str(tmp_path / "b.pth"), "timm/resnet18", model).note
