"""Inception and GoogLeNet put images through a scale and a shift of their own, or do not: files
say which, and are read as they say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from transfer.deploy.classifier import load_classifier, save_classifier
from transfer.models.families import build_model, meta_model
from transfer.models.normalization import Normalization
from transfer.models.sources import read_weights
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()

SIZE = 32
OWN = Normalization((0.3, 0.4, 0.5), (0.2, 0.25, 0.3), "bicubic", SIZE)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("googlenet") / "weights.safetensors"
    model = build_model("googlenet", 2, SIZE)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1
    # With the statistics that layers are made with, hardly anything of the images comes through.
    model.train()(torch.randn(8, 3, SIZE, SIZE))
    save_classifier(
        model.state_dict(),
        path,
        model_name="googlenet",
        image_size=SIZE,
        classes=("a", "b"),
        stored_size=SIZE,
        fit="crop",
        normalization=OWN,
    )
    return path


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata())


def _without(path: Path, *names: str, **others: str) -> Path:
    """A copy whose metadata lack what files of before did not have."""
    metadata = {name: each for name, each in _metadata(path).items() if name not in names}
    copied = path.with_name("former.safetensors")
    save_file(load_file(path), copied, metadata=metadata | others)
    return copied


def _plain(path: Path, *, transform_input: bool) -> nn.Module:
    model: nn.Module = torchvision.models.googlenet(
        num_classes=2, aux_logits=False, init_weights=False, transform_input=transform_input
    )
    model.load_state_dict(load_file(path))
    return model.eval()


def _pixels() -> Tensor:
    size = (2, 3, SIZE, SIZE)
    return torch.randint(0, 256, size, generator=torch.Generator().manual_seed(0)).byte()


@torch.inference_mode()
def _logits(path: Path) -> Tensor:
    classifier = load_classifier(path, torch.device("cpu"))
    return classifier.model(classifier.preprocess(_pixels()))


@torch.inference_mode()
def _expected(path: Path, *, transform_input: bool) -> Tensor:
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (OWN.mean, OWN.std))
    return _plain(path, transform_input=transform_input)((_pixels() / 255 - mean) / std)


def test_plain_torchvision_computes_the_same_when_it_is_told(saved: Path) -> None:
    assert _metadata(saved)["transform_input"] == "true"
    on, off = (_expected(saved, transform_input=each) for each in (True, False))
    # Other layouts, and matmuls for convolutions, add up in another order.
    torch.testing.assert_close(_logits(saved), on, rtol=1e-4, atol=1e-4)
    assert (on - off).abs().max() > 1e-3


def test_a_file_of_before_is_read_as_it_was_trained(
    saved: Path, caplog: pytest.LogCaptureFixture
) -> None:
    former = _without(saved, "transform_input", "interpolation")
    off = _expected(saved, transform_input=False)
    torch.testing.assert_close(_logits(former), off, rtol=1e-4, atol=1e-3)
    assert "former.safetensors does not say it: read as weights trained without" in caplog.text
    caplog.clear()
    said = _without(saved, transform_input="false")
    torch.testing.assert_close(_logits(said), off, rtol=1e-4, atol=1e-3)
    # Since files have had `interpolation`, it was on whether they said so or not.
    silent = _without(saved, "transform_input")
    torch.testing.assert_close(_logits(silent), _logits(saved))
    assert not caplog.text


def test_a_job_that_starts_from_a_file_of_before(saved: Path, tmp_path: Path) -> None:
    model = meta_model("googlenet", SIZE)
    former = _without(saved, "transform_input", "interpolation")
    new, old = (read_weights(str(each), "googlenet", model) for each in (saved, former))
    assert new.normalization == OWN
    # The same tensors that read images otherwise are other weights.
    assert old.normalization is not None and old.digest != new.digest
    assert "; without transform_input, as the weights were trained" in old.normalization.text(SIZE)
    save_classifier(
        load_file(former),
        tmp_path / "again.safetensors",
        model_name="googlenet",
        image_size=SIZE,
        classes=("a", "b"),
        stored_size=SIZE,
        fit="crop",
        normalization=old.normalization,
    )
    assert _metadata(tmp_path / "again.safetensors")["transform_input"] == "false"
    torch.testing.assert_close(_logits(tmp_path / "again.safetensors"), _logits(former))


def test_a_file_of_others_is_taken_for_the_published_weights(saved: Path, tmp_path: Path) -> None:
    torch.save(load_file(saved), tmp_path / "own.pth")
    found = read_weights(str(tmp_path / "own.pth"), "googlenet", meta_model("googlenet", SIZE))
    assert found.note == "transform_input on, as with the published weights"
    assert found.normalization is not None and found.normalization.undone is None
