"""What the families say of their models is true of every one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.conftest import config_of
from transfer.job import prepare
from transfer.models.families import (
    FAMILIES,
    build_model,
    family_named,
    family_of,
    meta_model,
    model_names,
)
from transfer.models.families.base import (
    Family,
    NamedModules,
    PublishedWeights,
    group_into_stages,
    left_out_of_patches,
)
from transfer.models.head import backbone_parameters, features_of, head_name
from transfer.models.sources import read_weights
from transfer.models.weights import match_weights
from transfer.system.errors import ConfigError
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()

TORCHVISION = torchvision.models.list_models(module=torchvision.models)
LITE = [f"efficientnet_lite{number}" for number in range(3)]
OWN = sorted(["lenet", "simple_cnn", *LITE, *TORCHVISION])
# Of the kinds that timm tells apart: those made for tests, and some that are special.
TIMM = [f"timm/test_{kind}" for kind in ("byobnet", "convnext", "efficientnet", "maxvit", "vit")]
TIMM += ["timm/resnet18", "timm/caformer_s18", "timm/mobilenetv3_small_050", "timm/pit_ti_224"]
HEADS = {"fc", "classifier", "heads", "head"}


def test_every_model_is_of_one_family() -> None:
    names = [name for family in FAMILIES for name in family.names()]
    assert len(names) == len(set(names))
    assert [name for name in model_names() if name in OWN] == OWN
    assert all(family_named(name).knows(name) for name in names)


@pytest.mark.parametrize("name", [*OWN, *TIMM])
def test_the_stages_share_out_the_backbone(name: str) -> None:
    with torch.device("meta"):
        model = build_model(name, 7, 224)
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    assert family_of(model) is family_named(name)
    head = head_name(model)
    assert head.partition(".")[0] in HEADS
    *_, last = model.get_submodule(head).parameters()
    assert last.shape == (7,)
    stages = family_of(model).stages(model)
    assert len(stages) == len(dict(stages)) >= 3
    # Each part holds something, and each parameter of the backbone is in one of them.
    parts = [id(parameter) for _, stage in stages for parameter in stage.parameters()]
    assert sorted(parts) == sorted(id(parameter) for parameter in backbone_parameters(model))
    assert all(any(True for _ in stage.parameters()) for _, stage in stages)
    names = {name for name, _ in model.named_modules()}
    assert names.issuperset(name for name, _ in stages)
    # Running statistics go with the stage that has their layer.
    buffers = {id(buffer) for _, stage in stages for buffer in stage.buffers()}
    assert buffers == {id(buffer) for buffer in model.buffers()}


def test_known_stages() -> None:
    with torch.device("meta"):
        names = {
            name: [stage for stage, _ in family_named(name).stages(build_model(name, 2, 224))]
            for name in (
                "resnet50",
                "swin_t",
                "vit_b_16",
                "simple_cnn",
                "lenet",
                *TIMM[:2],
                TIMM[4],
            )
        }
    assert names["resnet50"] == ["conv1", "layer1", "layer2", "layer3", "layer4"]
    assert names["swin_t"] == [f"features.{index}" for index in (0, 2, 4, 6)]
    layers = [f"encoder.layers.encoder_layer_{index}" for index in range(12)]
    assert names["vit_b_16"] == ["conv_proj", *layers]
    assert names["timm/test_convnext"] == ["stem", *(f"stages.{index}" for index in range(4))]
    assert names["timm/test_vit"] == ["patch_embed", *(f"blocks.{index}" for index in range(6))]
    assert names["lenet"] == [f"features.{index}" for index in (0, 3, 6)]
    assert names["simple_cnn"] == [f"features.{index}" for index in (0, 4, 8, 12)]


@pytest.mark.parametrize("name", TORCHVISION)
def test_published_weights_say_which_images_they_expect(name: str) -> None:
    published = family_named(name).published(name)
    entries = torchvision.models.get_model_weights(name)
    assert {each.entry for each in published} == {entry.name for entry in entries}
    assert published[0].entry == entries.DEFAULT.name
    for each in published:
        transform = entries[each.entry].transforms()
        assert each.url == entries[each.entry].url
        assert (each.mean, each.std) == (tuple(transform.mean), tuple(transform.std))
        assert len(each.mean) == len(each.std) == 3
        assert all(0 < value < 1 for value in (*each.mean, *each.std))
        assert 224 <= each.crop <= each.resize <= 600
        assert each.interpolation in ("bilinear", "bicubic")
        assert each.imagenet_accuracy is None or 0.3 < each.imagenet_accuracy < 0.9


def test_not_every_entry_expects_the_same_images() -> None:
    family = family_named("resnet50")
    assert [each.resize for each in family.published("resnet50")] == [232, 256]
    (large,) = family_named("efficientnet_v2_l").published("efficientnet_v2_l")
    assert (large.mean, large.std, large.crop) == ((0.5,) * 3, (0.5,) * 3, 480)
    assert large.interpolation == "bicubic"
    assert large.imagenet_accuracy == pytest.approx(0.85808)
    assert not family_named("simple_cnn").published("simple_cnn")


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "regnet_y_400mf", "squeezenet1_1"])
def test_a_seed_draws_what_torchvision_draws_and_then_the_last_layer(name: str) -> None:
    torch.manual_seed(3)
    expected = torchvision.models.get_model(name, weights=None)
    torch.manual_seed(3)
    model = build_model(name, 10, 64)
    last_layer = family_of(model).last_layer(model)
    old = expected.get_submodule(last_layer)
    torch.manual_seed(3)
    torchvision.models.get_model(name, weights=None)
    new = nn.Linear(old.in_features, 10) if isinstance(old, nn.Linear) else nn.Conv2d(512, 10, 1)
    expected.set_submodule(last_layer, new)
    states = expected.state_dict(), model.state_dict()
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_what_is_dense_was_measured() -> None:
    dense = {name for name in OWN if family_named(name).is_dense(name)}
    assert dense.issuperset(["simple_cnn", "resnet18", "vgg11_bn", "vit_b_16", "regnet_y_400mf"])
    assert dense.isdisjoint(
        ["mobilenet_v3_small", "efficientnet_b0", "squeezenet1_1", "wide_resnet50_2", "maxvit_t"]
    )


class Tomorrow(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 5), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5))
        self.readout = nn.Linear(16, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.readout(self.body(images).mean((2, 3)))


class TomorrowFamily(Family):
    unused = ("gaussian.",)

    def names(self) -> list[str]:
        return ["tomorrow5"]

    def build(self, name: str, num_classes: int, image_size: int) -> nn.Module:
        return Tomorrow(num_classes)

    def includes(self, model: nn.Module) -> bool:
        return isinstance(model, Tomorrow)

    def head(self, model: nn.Module) -> str:
        return "readout"

    def stages(self, model: nn.Module) -> NamedModules:
        layers = model.get_submodule("body").named_children()
        return group_into_stages((f"body.{name}", layer) for name, layer in layers)

    def published(self, name: str) -> tuple[PublishedWeights, ...]:
        url = "https://example.org/tomorrow5.pth"
        return (PublishedWeights("MNIST", url, (0.1,) * 3, (0.3,) * 3, 32, 32, "bilinear"),)

    def tensor_name(self, published: str) -> str:
        return published.replace("convs.", "body.")


def test_a_family_of_tomorrow_is_one_more_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transfer.models.families.FAMILIES", (*FAMILIES, TomorrowFamily()))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    model = build_model("tomorrow5", 10, 32)
    assert [name for name, _ in family_of(model).stages(model)] == ["body.0", "body.2"]
    assert features_of(model, torch.randn(2, 3, 32, 32)).shape == (2, 16)
    with pytest.raises(ConfigError, match=r"model\.name=tomorrow6: .* choose from tomorrow5$"):
        build_model("tomorrow6", 10, 32)
    with pytest.raises(ConfigError, match="image_size=12: tomorrow5 cannot read images"):
        meta_model("tomorrow5", 12)

    state = {
        name.replace("body.", "convs."): each for name, each in Tomorrow(6).state_dict().items()
    }
    path = tmp_path / "hub" / "checkpoints" / "tomorrow5.pth"
    path.parent.mkdir(parents=True)
    torch.save({**state, "gaussian.centres": torch.ones(1)}, path)
    fit = match_weights(model, read_weights("imagenet", "tomorrow5"))
    model.load_state_dict(fit.loaded, strict=False)
    assert torch.equal(model.state_dict()["body.0.weight"], state["convs.0.weight"])
    assert model.state_dict()["readout.weight"].shape == (10, 16)


@pytest.mark.parametrize(
    ("name", "size", "left"),
    [
        ("timm/eva02_tiny_patch14_224", 32, 4),
        ("swin_t", 34, 2),
        ("swin_t", 32, 0),
        ("resnet18", 33, 0),
    ],
)
def test_pixels_that_patches_leave_out_are_told(name: str, size: int, left: int) -> None:
    torch.manual_seed(0)
    model = build_model(name, 2, size).eval()
    images = torch.randn(1, 3, size, size, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(images)[0, 0], images)
    assert int((gradient.abs().sum(dim=(0, 1, 2)) > 0).sum()) == size - left
    told = left_out_of_patches(model, size)
    assert bool(told) == bool(left)
    assert f"leave out {left} of {size} px" in told or not left


def test_a_job_says_which_sizes_its_patches_read_whole() -> None:
    chosen = ("model=timm", "model.name=deit_tiny_patch16_224", "weights=none")
    job = prepare(config_of(*chosen, "image_size=40"))
    assert "along each edge; image_size=32 or 48 is read whole\n" in str(job)
    assert "leave out" not in str(prepare(config_of(*chosen, "image_size=32")))
