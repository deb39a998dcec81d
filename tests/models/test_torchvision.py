"""Models of torchvision that need something of their own compute what torchvision's do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from transfer.models.families import build_model, meta_model
from transfer.models.sources import read_weights
from transfer.models.weights import Weights, match_weights
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()


@pytest.mark.parametrize(("name", "size"), [("googlenet", 64), ("inception_v3", 80)])
@torch.inference_mode()
def test_published_weights_compute_what_they_do_in_torchvision(name: str, size: int) -> None:
    """torchvision turns transform_input on where it is given weights, and the aux heads too."""
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name, init_weights=False, transform_input=True).eval()
    with torch.inference_mode(mode=False):
        model = build_model(name, 1000, size)
    fit = match_weights(model, Weights("imagenet", "", theirs.state_dict()))
    model.load_state_dict(fit.loaded, strict=False)
    model.get_submodule("fc").load_state_dict(theirs.fc.state_dict())
    images = torch.randn(2, 3, size, size)
    assert (model.eval()(images) - theirs(images)).abs().max() == 0
    theirs.transform_input = False
    assert (model(images) - theirs(images)).abs().max() > 0


@torch.inference_mode()
def test_vit_reads_another_size_than_its_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.vit_b_16().eval()
    torch.save(theirs.state_dict(), tmp_path / "vit.pth")
    positions = "encoder.pos_embedding"
    for size, tokens in ((96, 37), (384, 577)):
        model = meta_model("vit_b_16", size)
        weights = read_weights(str(tmp_path / "vit.pth"), "vit_b_16", model)
        fit = match_weights(model, weights)
        assert fit.resized == (positions,) and f"interpolated for this image_size: {positions}" in (
            str(fit)
        )
        assert fit.loaded[positions].shape == (1, tokens, 768)
        # The class token has no place in the image.
        assert torch.equal(fit.loaded[positions][:, 0], weights.state[positions][:, 0])
        interpolated = torchvision.models.vision_transformer.interpolate_embeddings(
            size, 16, theirs.state_dict()
        )
        assert torch.equal(fit.loaded[positions], interpolated[positions])

    with torch.inference_mode(mode=False):
        model = build_model("vit_b_16", 1000, 224)
    fit = match_weights(model, weights)
    assert not fit.resized
    model.load_state_dict(fit.loaded, strict=False)
    model.get_submodule("heads").load_state_dict(theirs.heads.state_dict())
    images = torch.randn(1, 3, 224, 224)
    assert torch.equal(model.eval()(images), theirs(images))
