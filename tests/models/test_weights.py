"""Weights from files: what fits is loaded, what does not is refused, nothing is executed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from transfer.config import ConfigError
from transfer.models import build_model, load_into, read_weights
from transfer.vision import torchvision


def _trained(classes: int = 5) -> nn.Module:
    torch.manual_seed(7)
    return build_model("resnet18", classes, 32)


def _loaded(source: Path, classes: int = 10) -> nn.Module:
    model = build_model("resnet18", classes, 32)
    load_into(model, read_weights(str(source), "resnet18"))
    return model


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model": {f"backbone.{name}": tensor for name, tensor in state.items()}},
    ],
)
def test_checkpoints_load_whatever_wraps_them(
    tmp_path: Path, wrap: Callable[[dict[str, Any]], Any]
) -> None:
    torch.save(wrap(_trained().state_dict()), tmp_path / "weights.pth")
    loaded, trained = _loaded(tmp_path / "weights.pth").state_dict(), _trained().state_dict()
    assert all(torch.equal(loaded[name], trained[name]) for name in trained if "fc." not in name)
    assert loaded["fc.weight"].shape == (10, 512)


def test_safetensors_and_pth_of_one_model_have_one_digest(tmp_path: Path) -> None:
    state = _trained().state_dict()
    torch.save(state, tmp_path / "weights.pth")
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    digests = {read_weights(str(file), "resnet18").digest for file in tmp_path.iterdir()}
    assert len(digests) == 1


def test_a_head_that_fits_is_loaded_too(tmp_path: Path) -> None:
    torch.save(_trained(10).state_dict(), tmp_path / "weights.pth")
    loaded = _loaded(tmp_path / "weights.pth", classes=10)
    assert torch.equal(loaded.get_parameter("fc.weight"), _trained(10).get_parameter("fc.weight"))


def test_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(build_model("resnet50", 5, 32).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match=r"does not fit ResNet: \d+ names such as layer1"):
        _loaded(tmp_path / "weights.pth")


class _Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": _Attack()}, "weights.pth")
    with pytest.raises(ConfigError, match="would run code"):
        _loaded(Path("weights.pth"))
    Path("plain.pth").write_bytes(pickle.dumps(_Attack()))
    with pytest.raises(ConfigError, match=r"weights=plain\.pth"):
        _loaded(Path("plain.pth"))
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["page.pth", "page.safetensors", "empty.pth", "empty.safetensors"])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content = "" if name.startswith("empty") else "<!DOCTYPE html><html>404</html>"
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError) as refused:
        _loaded(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "weights.pth"
    torch.save(_trained().state_dict(), whole)
    whole.write_bytes(whole.read_bytes()[:-5000])
    with pytest.raises(ConfigError, match="damaged"):
        _loaded(whole)


def test_a_missing_file_and_an_unknown_source_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        _loaded(tmp_path / "nothing.pth")
    with pytest.raises(ConfigError, match="choose from none, imagenet"):
        read_weights("imagenet21k", "resnet18")


def test_cached_imagenet_weights_need_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    published = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    cached = tmp_path / "hub" / "checkpoints" / Path(published.url).name
    cached.parent.mkdir(parents=True)
    torch.save(_trained(1000).state_dict(), cached)
    assert read_weights("imagenet", "resnet18").state is not None


def test_imagenet_weights_of_a_model_that_has_none() -> None:
    with pytest.raises(ConfigError, match="torchvision publishes none for simple_cnn"):
        read_weights("imagenet", "simple_cnn")
