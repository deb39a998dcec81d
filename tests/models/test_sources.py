"""`weights=`: which words it takes, and where each finds its numbers; files are read whatever wraps
their tensors, and nothing is executed."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from tests.conftest import config_of
from transfer.job import prepare
from transfer.models.families import build_model, meta_model
from transfer.models.sources import (
    pretrained_size,
    read_weights,
    resolve_source,
    weights_at_hand,
)
from transfer.models.weights import Weights
from transfer.system.errors import ConfigError
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()


def _state() -> dict[str, Tensor]:
    torch.manual_seed(7)
    return build_model("mobilenet_v3_small", 5, 32).state_dict()


def _weights(source: str | Path, model: str) -> Weights:
    return read_weights(str(source), model, meta_model(model, 64))


def _read(path: Path) -> dict[str, Tensor]:
    return dict(_weights(path, "mobilenet_v3_small").state or {})


def test_safetensors_are_read(tmp_path: Path) -> None:
    for name in ("weights.safetensors", "pytorch_model.bin", "weights.PTH"):
        safetensors.torch.save_file(_state(), tmp_path / name)
        assert set(_read(tmp_path / name)) == set(_state())
    torch.save(_state(), tmp_path / "pickled.safetensors")
    assert set(_read(tmp_path / "pickled.safetensors")) == set(_state())


class _Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": _Attack()}, "weights.pth")
    with pytest.raises(ConfigError, match="would run code"):
        _read(Path("weights.pth"))
    Path("plain.pth").write_bytes(pickle.dumps(_Attack()))
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(ConfigError, match=r"weights=.*plain\.pth"),
    ):
        _read(Path("plain.pth"))
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["page.pth", "page.safetensors"])
def test_a_web_page_is_called_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\n<!DOCTYPE html><html>404</html>")
    with pytest.raises(ConfigError, match="a web page, not a checkpoint"):
        _read(tmp_path / name)


@pytest.mark.parametrize("name", ["empty.pth", "empty.safetensors", "noise.pth"])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"" if name.startswith("empty") else bytes(range(256)))
    with pytest.raises(ConfigError) as refused:
        _read(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}])
def test_a_checkpoint_without_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="holds no"):
        _read(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save(_state(), path)
    else:
        safetensors.torch.save_file(_state(), path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ConfigError, match="damaged"):
        _read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        _read(tmp_path / "nothing.pth")


def test_a_file_gives_one_digest_in_either_format(tmp_path: Path) -> None:
    state = build_model("mobilenet_v3_small", 5, 32).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    digests = {_weights(file, "mobilenet_v3_small").digest for file in tmp_path.iterdir()}
    assert len(digests) == 1


def test_an_unknown_source_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match="choose from auto, starter, imagenet, none"):
        _weights("imagenet21k", "resnet18")


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
    read = _weights("imagenet", "resnet18").state
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
    read = _weights("imagenet", "densenet121").state
    assert read is not None and list(read) == list(model.state_dict())


def test_a_damaged_cache_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = _cached(tmp_path)
    cached.write_bytes(b"half a download")
    with pytest.raises(ConfigError, match=rf"{cached.name} could not be .*; remove it") as refused:
        _weights("imagenet", "resnet18")
    assert "\n" not in str(refused.value)


def test_published_weights_are_chosen_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.save(build_model("resnet18", 1000, 224).state_dict(), _cached(tmp_path))
    named, own = (_weights(f"imagenet{entry}", "resnet18") for entry in (":IMAGENET1K_V1", ""))
    assert named.digest == own.digest
    with pytest.raises(ConfigError) as refused:
        _weights("imagenet:IMAGENET1K_V3", "resnet50")
    choices = "imagenet:IMAGENET1K_V2, imagenet:IMAGENET1K_V1"
    assert str(refused.value) == (
        f"weights=imagenet:IMAGENET1K_V3: for resnet50 choose from {choices}"
    )


def test_imagenet_weights_of_a_model_that_has_none() -> None:
    with pytest.raises(
        ConfigError, match="weights=imagenet: none are published for simple_cnn; use weights=none"
    ):
        _weights("imagenet", "simple_cnn")


def test_auto_gives_each_model_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    models = ("resnet18", "resnet50", "simple_cnn", "efficientnet_lite0")
    found = {name: resolve_source("auto", name) for name in models}
    assert found.pop("efficientnet_lite0") == "imagenet"
    assert found == {"resnet18": "starter", "resnet50": "imagenet", "simple_cnn": "none"}
    _cached(tmp_path).write_bytes(b"downloaded")
    assert resolve_source("auto", "resnet18") == "imagenet"
    assert resolve_source("starter", "resnet18") == "starter"


def test_a_job_is_named_by_what_auto_came_to() -> None:
    jobs = [prepare(config_of("model=simple_cnn", f"weights={each}")) for each in ("auto", "none")]
    assert jobs[0].fingerprint == jobs[1].fingerprint
    assert jobs[0].config.weights == "none" and "\nweights: none" in str(jobs[0])
    with pytest.raises(ConfigError, match="use weights=auto, imagenet or none"):
        prepare(config_of("model=simple_cnn", "weights=starter"))


def test_what_is_at_hand_is_found_in_every_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    before = set(weights_at_hand())
    assert {("resnet18", "starter"), ("efficientnet_lite1", "imagenet")} <= before
    assert not any(source == "imagenet" and "lite" not in name for name, source in before)
    first, second = torchvision.models.get_model_weights("resnet50")
    checkpoints = tmp_path / "torch" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / Path(first.url).name).touch()
    # As the hub lays out what it downloads.
    repository = tmp_path / "hub" / "models--timm--convnext_nano.in12k_ft_in1k"
    snapshot = repository / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123")
    (snapshot / "model.safetensors").touch()
    found = set(weights_at_hand()) - before
    assert second is torchvision.models.get_model_weights("resnet50").DEFAULT
    assert found == {("resnet50", f"imagenet:{first.name}"), ("timm/convnext_nano", "imagenet")}


def test_weights_tell_the_size_that_they_were_trained_with(tmp_path: Path) -> None:
    assert pretrained_size("starter", "resnet18") == 32
    assert pretrained_size("imagenet", "efficientnet_lite2") == 260
    safetensors.torch.save_file(_state(), tmp_path / "plain.safetensors")
    for source in ("none", str(tmp_path / "plain.safetensors"), "runs:/1"):
        assert pretrained_size(source, "mobilenet_v3_small") is None
