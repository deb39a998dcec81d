"""`weights=`: which words it takes, and where each finds its numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import safetensors.torch
import torch

from transfer.models import build_model, read_weights
from transfer.system.errors import ConfigError
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()


def test_a_file_gives_one_digest_in_either_format(tmp_path: Path) -> None:
    state = build_model("mobilenet_v3_small", 5, 32).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    digests = {read_weights(str(file), "resnet18").digest for file in tmp_path.iterdir()}
    assert len(digests) == 1


def test_an_unknown_source_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="choose from starter, imagenet, none"):
        read_weights("imagenet21k", "resnet18")


def _cached(folder: Path) -> Path:
    published = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    path = folder / "hub" / "checkpoints" / Path(published.url).name
    path.parent.mkdir(parents=True)
    return path


def test_cached_imagenet_weights_need_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    state = build_model("resnet18", 1000, 224).state_dict()
    torch.save(state, _cached(tmp_path))
    read = read_weights("imagenet", "resnet18").state
    assert read is not None and torch.equal(read["conv1.weight"], state["conv1.weight"])


def test_published_densenets_get_todays_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    model = build_model("densenet121", 1000, 32)
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))(\d)")
    state = {old.sub(r"\1.\2", name): tensor for name, tensor in model.state_dict().items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in state
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    url = torchvision.models.DenseNet121_Weights.IMAGENET1K_V1.url
    torch.save(state, folder / Path(url).name)
    read = read_weights("imagenet", "densenet121").state
    assert read is not None and list(read) == list(model.state_dict())


def test_a_damaged_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = _cached(tmp_path)
    cached.write_bytes(b"half a download")
    with pytest.raises(ConfigError, match=rf"{cached.name} could not be .*; remove it") as refused:
        read_weights("imagenet", "resnet18")
    assert "\n" not in str(refused.value)


def test_imagenet_weights_of_a_model_that_has_none() -> None:
    with pytest.raises(
        ConfigError, match="weights=imagenet: none are published for simple_cnn; use weights=none"
    ):
        read_weights("imagenet", "simple_cnn")
