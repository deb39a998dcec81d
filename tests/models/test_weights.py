"""What of given weights a model takes over: all but the last layer, or nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from transfer.models.families import build_model
from transfer.models.normalization import Normalization
from transfer.models.weights import Weights, match_weights, weights_digest
from transfer.system.digest import state_digest
from transfer.system.errors import ConfigError
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()


def _weights(model: nn.Module) -> Weights:
    state = model.state_dict()
    return Weights("a.pth", state_digest(state), state)


def _differing(one: nn.Module, other: nn.Module) -> set[str]:
    theirs = other.state_dict()
    return {name for name, tensor in one.state_dict().items() if not _equal(tensor, theirs[name])}


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


@pytest.mark.parametrize("classes", [5, 10])
@pytest.mark.parametrize(
    ("name", "last_layer"),
    [
        ("resnet18", "fc"),
        # Its head has two layers, and the first one is worth as much as the backbone.
        ("mobilenet_v3_small", "classifier.3"),
    ],
)
def test_all_but_the_last_layer_is_taken_over(name: str, last_layer: str, classes: int) -> None:
    torch.manual_seed(7)
    trained, model = build_model(name, classes, 32), build_model(name, 10, 32)
    fit = match_weights(model, _weights(trained))
    model.load_state_dict(fit.loaded, strict=False)
    assert set(fit.left_out) == {f"{last_layer}.weight", f"{last_layer}.bias"}
    assert _differing(model, trained) == set(fit.left_out)
    assert len(fit.loaded) + len(fit.left_out) == len(trained.state_dict())
    assert f"; drawn anew: {last_layer} (for these classes)" in str(fit)


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("mobilenet_v3_small", ["classifier.0", "classifier.3"]),
        ("alexnet", ["classifier.1", "classifier.4", "classifier.6"]),
    ],
)
def test_layers_of_a_head_that_a_file_lacks_are_named(name: str, drawn: list[str]) -> None:
    """A backbone alone, as self-supervised training gives it."""
    with torch.device("meta"):
        trained, model = build_model(name, 5, 64), build_model(name, 10, 64)
    state = {key: each for key, each in trained.state_dict().items() if "classifier" not in key}
    fit = match_weights(model, Weights("a.pth", "d", state))
    *others, last = drawn
    assert fit.drawn == {**dict.fromkeys(others, "not in the weights"), last: "for these classes"}
    assert f"; drawn anew: {others[0]} (not in the weights), " in str(fit)
    # A first layer of the head that reads other features.
    state[f"{others[0]}.weight"] = torch.empty(3, 3, device="meta")
    fit = match_weights(model, Weights("a.pth", "d", state))
    assert fit.drawn[others[0]] == "of another shape in the weights"


def test_half_precision_is_widened() -> None:
    trained, model = build_model("resnet18", 5, 32).half(), build_model("resnet18", 10, 32)
    model.load_state_dict(match_weights(model, _weights(trained)).loaded, strict=False)
    assert model.get_parameter("conv1.weight").dtype == torch.float32
    assert torch.equal(model.get_parameter("conv1.weight").half(), trained.conv1.weight)


def test_another_architecture_is_refused_by_name() -> None:
    other = _weights(build_model("resnet50", 5, 32))
    with pytest.raises(ConfigError, match=r"does not fit ResNet: \d+ names such as layer1"):
        match_weights(build_model("resnet18", 10, 32), other)


def test_one_missing_and_one_extra_tensor_are_refused() -> None:
    model = build_model("resnet18", 10, 32)
    state = model.state_dict()
    missing = {name: tensor for name, tensor in state.items() if name != "layer3.0.conv1.weight"}
    name = r"1 names such as layer3\.0\.conv1\.weight; the first"
    with pytest.raises(ConfigError, match=rf"{name} is not in the weights$"):
        match_weights(model, Weights("a.pth", "d", missing))
    with pytest.raises(ConfigError, match="1 names such as surplus; the first is not in the model"):
        match_weights(model, Weights("a.pth", "d", {**state, "surplus": torch.ones(1)}))
    other = {"layer3.0.conv1.weight": torch.ones(256, 128, 1, 1)}
    shapes = r"has the shape \[256, 128, 1, 1\] in the weights and \[256, 128, 3, 3\] in the model"
    with pytest.raises(ConfigError, match=f"{name} {shapes}"):
        match_weights(model, Weights("a.pth", "d", {**state, **other}))


def test_auxiliary_classifiers_are_left_out() -> None:
    """GoogLeNet is published with the two that its training from scratch needed."""
    published = torchvision.models.googlenet(weights=None, aux_logits=True, init_weights=False)
    fit = match_weights(build_model("googlenet", 10, 64), _weights(published))
    assert {name.split(".")[0] for name in fit.left_out} == {"aux1", "aux2", "fc"}


def test_a_run_of_the_same_classes_keeps_its_last_layer() -> None:
    torch.manual_seed(7)
    trained, model = build_model("resnet18", 2, 32), build_model("resnet18", 2, 32)
    state = trained.state_dict()
    of_run = Weights("runs:/1", state_digest(state), state, classes=("cat", "dog"))
    fit = match_weights(model, of_run, ("cat", "dog"))
    model.load_state_dict(fit.loaded)
    assert not _differing(model, trained) and not fit.left_out
    assert "122 tensors loaded, the last layer too, for the classes are the same" in str(fit)
    for classes in (("dog", "cat"), ("cat", "elk"), ("cat", "dog", "elk")):
        other = build_model("resnet18", len(classes), 32)
        fit = match_weights(other, of_run, classes)
        assert set(fit.left_out) == {"fc.weight", "fc.bias"}
        assert "the last layer too" not in str(fit)


def test_what_comes_with_tensors_is_part_of_their_name() -> None:
    normal = Normalization((0.5,) * 3, (0.5,) * 3)
    kinds = [(None, None), (normal, None), (normal, ("a", "b")), (normal, ("b", "a"))]
    assert len({weights_digest("d", *kind) for kind in kinds}) == 4
    cubic = Normalization((0.5,) * 3, (0.5,) * 3, "bicubic")
    assert weights_digest("d", cubic) != weights_digest("d", normal)
    # What is only told makes no other weights.
    told = Normalization((0.5,) * 3, (0.5,) * 3, image_size=224, source="published")
    assert weights_digest("d", told) == weights_digest("d", normal)
