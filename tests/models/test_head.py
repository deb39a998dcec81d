"""A classifier in two: what reaches the head, and what the head makes of it."""

from __future__ import annotations

import pytest
import torch

from transfer.models.families import build_model
from transfer.models.head import (
    FrozenBackbone,
    backbone_parameters,
    features_of,
    head_alone,
    head_parameters,
)

# One of each way in which torchvision's families go from features to logits.
FAMILIES = [
    "resnet18",
    "mobilenet_v3_small",
    "squeezenet1_1",
    "densenet121",
    "convnext_tiny",
    "vit_b_32",
    "swin_t",
    "googlenet",
]


@pytest.mark.parametrize("name", FAMILIES)
def test_backbone_and_head_together_are_the_model(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(name, 3, 32).eval()
    names = list(model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        expected = model(images)
        assert torch.equal(head_alone(model)(features_of(model, images)), expected)
        assert torch.equal(FrozenBackbone(model)(images), expected)
    assert list(model.state_dict()) == names


def test_a_frozen_backbone_has_no_graph() -> None:
    model = build_model("mobilenet_v3_small", 3, 32)
    # Even where someone forgot to turn gradients off.
    assert all(parameter.requires_grad for parameter in model.parameters())
    FrozenBackbone(model)(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is None for parameter in backbone_parameters(model))
    assert all(parameter.grad is not None for parameter in head_parameters(model))
