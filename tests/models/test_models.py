"""Every family of torchvision's classifiers gets a new head, and says where it is."""

from __future__ import annotations

import copy

import pytest
import torch

from transfer.models.families import build_model, family_of, meta_model
from transfer.models.head import backbone_parameters, head_name, head_parameters
from transfer.system.errors import ConfigError

# One of each family, with its head's name and the smallest usual input.
FAMILIES = {
    "lenet": ("classifier", 32),
    "simple_cnn": ("fc", 32),
    "alexnet": ("classifier", 64),
    "convnext_tiny": ("classifier", 32),
    "densenet121": ("classifier", 32),
    "efficientnet_b0": ("classifier", 32),
    "efficientnet_v2_s": ("classifier", 32),
    "googlenet": ("fc", 32),
    "inception_v3": ("fc", 75),
    "maxvit_t": ("classifier", 224),
    "mnasnet0_5": ("classifier", 32),
    "mobilenet_v2": ("classifier", 32),
    "mobilenet_v3_large": ("classifier", 32),
    "mobilenet_v3_small": ("classifier", 32),
    "regnet_y_400mf": ("fc", 32),
    "resnet18": ("fc", 32),
    "resnext50_32x4d": ("fc", 32),
    "shufflenet_v2_x0_5": ("fc", 32),
    "squeezenet1_0": ("classifier", 32),
    "swin_t": ("head", 32),
    "swin_v2_t": ("head", 64),
    "vgg11": ("classifier", 32),
    "vit_b_16": ("heads", 32),
    "wide_resnet50_2": ("fc", 32),
    "efficientnet_lite0": ("classifier", 32),
    "timm/test_convnext": ("head.fc", 32),
    "timm/test_vit": ("head", 32),
    "timm/caformer_s18": ("head.fc.fc2", 32),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_gets_a_head_for_the_classes(name: str) -> None:
    head, size = FAMILIES[name]
    model = meta_model(name, size)
    assert model(torch.zeros(3, 3, size, size, device="meta")).shape == (3, 2)
    with torch.device("meta"):
        family_of(model).replace_last_layer(model, 7)
    assert model(torch.zeros(3, 3, size, size, device="meta")).shape == (3, 7)
    assert head_name(model) == head
    parts = [*head_parameters(model), *backbone_parameters(model)]
    assert len(parts) == len(list(model.parameters())) == len({id(part) for part in parts})


@pytest.mark.parametrize("name", FAMILIES)
def test_images_pass_through_the_stages_in_order_and_then_the_head(name: str) -> None:
    size = FAMILIES[name][1]
    model = meta_model(name, size)
    stages = [*family_of(model).stages(model), ("head", model.get_submodule(head_name(model)))]
    run: list[int] = []
    for index, (_, stage) in enumerate(stages):
        for module in stage.modules():
            if any(True for _ in module.parameters(recurse=False)):
                module.register_forward_pre_hook(lambda *_, index=index: run.append(index))
    model(torch.zeros(1, 3, size, size, device="meta"))
    assert run == sorted(run)
    assert set(run) == set(range(len(stages)))


def test_the_head_of_mobilenet_v3_is_both_layers_of_its_classifier() -> None:
    model = build_model("mobilenet_v3_small", 10, 32)
    assert (
        sum(parameter.numel() for parameter in head_parameters(model)) == 576 * 1024 + 1024 + 10250
    )


@pytest.mark.parametrize("name", ["mnasnet0_5", "mnasnet1_0"])
def test_mnasnet_takes_tensors_that_have_no_version(name: str) -> None:
    model, other = build_model(name, 10, 32), build_model(name, 10, 32)
    tensors = {name: each + 1 for name, each in model.state_dict().items()}
    for taking in (model, copy.deepcopy(other)):
        taking.load_state_dict(tensors)
        assert all(torch.equal(tensors[n], each) for n, each in taking.state_dict().items())


def test_an_unknown_name_is_refused_with_choices() -> None:
    with pytest.raises(ConfigError, match=r"model\.name=resnet19: .*resnet18"):
        build_model("resnet19", 10, 32)


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "fcn_resnet50", "r3d_18"])
def test_what_is_no_classifier_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="no such classifier"):
        build_model(name, 10, 32)


@pytest.mark.parametrize(
    ("name", "size"), [("inception_v3", 32), ("alexnet", 32), ("vit_b_16", 33)]
)
def test_a_size_that_a_model_cannot_read_is_refused(name: str, size: int) -> None:
    with pytest.raises(ConfigError, match=f"image_size={size}: {name}"):
        meta_model(name, size)
