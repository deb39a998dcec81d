"""The matmuls give what torch's convolution gives, forwards and backwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from transfer.models.families import build_model
from transfer.models.matmul_convs import SmallMapConv2d, use_matmul_convs

# Channels in and out and what else a convolution takes, with the size of its input.
LAYERS: list[tuple[tuple[int, int, int], dict[str, Any], tuple[int, int]]] = [
    ((8, 6, 3), {"padding": 1}, (1, 1)),
    ((8, 6, 3), {"padding": 1}, (2, 2)),
    ((8, 6, 3), {"padding": 1, "stride": 2, "bias": False}, (2, 2)),
    ((8, 6, 3), {"padding": 1}, (2, 3)),
    ((8, 6, 5), {"padding": 2, "stride": 2}, (4, 4)),
    ((8, 6, 3), {"padding": 2, "dilation": 2}, (2, 2)),
    ((8, 6, 2), {"padding": (1, 0)}, (1, 3)),
    ((6, 6, 5), {"padding": 2, "groups": 6}, (1, 1)),
    ((6, 6, 5), {"padding": 2, "groups": 6}, (2, 2)),
    ((6, 6, 5), {"padding": 2, "groups": 6, "stride": 2, "bias": False}, (4, 4)),
    ((8, 6, 1), {}, (4, 4)),
    ((8, 6, 1), {"bias": False}, (1, 1)),
    # These are left to torch.
    ((8, 6, 1), {}, (5, 4)),
    ((8, 6, 1), {"stride": 2}, (4, 4)),
    ((6, 4, 3), {"padding": 1, "groups": 2}, (2, 2)),
    ((8, 6, 3), {"padding": "same"}, (2, 2)),
    ((8, 6, 3), {"padding": 1}, (4, 4)),
]


@pytest.mark.parametrize(("channels", "options", "size"), LAYERS)
def test_values_and_gradients_are_those_of_the_convolution(
    channels: tuple[int, int, int], options: dict[str, Any], size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    reference = nn.Conv2d(*channels, **options).double()
    layer = SmallMapConv2d(*channels, **options).double()
    layer.load_state_dict(reference.state_dict())
    images = torch.randn(32, channels[0], *size, dtype=torch.float64)
    results = []
    for module in (reference, layer):
        inputs = images.clone().requires_grad_()
        output = module(inputs)
        output.backward(torch.linspace(-1, 1, output.numel()).double().view_as(output))
        results.append([output, inputs.grad, *(each.grad for each in module.parameters())])
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_a_whole_network_gives_the_same_logits_and_keeps_its_names(name: str) -> None:
    torch.manual_seed(0)
    reference, model = build_model(name, 10, 32), build_model(name, 10, 32)
    model.load_state_dict(reference.state_dict())
    use_matmul_convs(model)
    assert any(isinstance(module, SmallMapConv2d) for module in model.modules())
    assert list(model.state_dict()) == list(reference.state_dict())
    images = torch.randn(32, 3, 32, 32)
    torch.testing.assert_close(model.eval()(images), reference.eval()(images), atol=1e-4, rtol=1e-4)


def test_what_an_evaluation_met_first_can_be_trained() -> None:
    """The geometry is kept from the first use on, which may be in inference mode."""
    layer = SmallMapConv2d(4, 4, 3, padding=1, stride=3)
    images = torch.randn(32, 4, 2, 2)
    with torch.inference_mode():
        layer(images)
    layer(images).sum().backward()
    assert layer.weight.grad is not None
