"""A network in two: the parts together are the whole, wherever it is cut."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from transfer.models.cut import UncutError, cut_at, difference, require_cut
from transfer.models.families import FAMILIES, build_model, family_of
from transfer.models.families.base import NamedModules
from transfer.models.families.small import SmallCNNs
from transfer.models.head import head_parameters
from transfer.models.matmul_convs import use_matmul_convs

# One of each way in which torchvision's families go from images to logits.
MODELS = [
    *("simple_cnn", "resnet18", "mobilenet_v3_small", "squeezenet1_1", "densenet121"),
    *("vit_b_32", "swin_t", "googlenet", "shufflenet_v2_x0_5", "regnet_y_400mf"),
]


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_together_are_the_model(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(name, 3, 64)
    use_matmul_convs(model)
    names = list(model.state_dict())
    stages = len(family_of(model).stages(model))
    for last in (1, stages - 1):
        assert len(require_cut(model, f"last:{last}", 64)) == 2
    assert difference(cut_at(model, "head", 64), torch.randn(2, 3, 64, 64)) == 0
    assert list(model.state_dict()) == names
    assert not any("forward" in vars(module) for module in model.modules())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in model.modules())


def test_only_the_tail_has_a_graph() -> None:
    model = build_model("resnet18", 3, 64)
    cut = cut_at(model, "last:2", 64)
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        features = cut.features(images)
    assert features.shape == (4, 128, 8, 8)
    cut.tail.train()(features).sum().backward()
    stages = dict(family_of(model).stages(model))
    trained = [*head_parameters(model), *stages["layer3"].parameters()]
    trained += list(stages["layer4"].parameters())
    assert all(parameter.grad is not None for parameter in trained)
    with_gradient = [each for each in model.parameters() if each.grad is not None]
    assert len(with_gradient) == len(trained)


def test_the_state_is_that_of_the_frozen_stages() -> None:
    model = build_model("vit_b_32", 3, 64)
    state = cut_at(model, "last:2", 64).state
    outside = ("encoder.layers.encoder_layer_10.", "encoder.layers.encoder_layer_11.")
    outside += ("encoder.ln.", "heads.")
    assert set(state) == {name for name in model.state_dict() if not name.startswith(outside)}
    model = build_model("resnet18", 3, 32)
    assert "bn1.running_mean" in cut_at(model, "last:4", 32).state


class Shortcut(nn.Module):
    """Its second stage reads what came before the first, too."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.fc = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc((self.second(self.first(images)) + images).mean((2, 3)))


class ShortcutFamily(SmallCNNs):
    def includes(self, model: nn.Module) -> bool:
        return isinstance(model, Shortcut)

    def stages(self, model: nn.Module) -> NamedModules:
        return [(name, model.get_submodule(name)) for name in ("first", "second")]


def test_what_cannot_be_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transfer.models.families.FAMILIES", (*FAMILIES, ShortcutFamily()))
    model = Shortcut()
    with pytest.raises(UncutError, match="its parts give other logits"):
        require_cut(model, "last:1", 16)
