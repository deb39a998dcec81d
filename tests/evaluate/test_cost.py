"""What a classifier costs, against published figures."""

from __future__ import annotations

import statistics

import pytest
import torch

from transfer.evaluate.cost import (
    as_exported,
    cost_metrics,
    count_macs,
    count_parameters,
    latencies_ms,
    size_mb,
)
from transfer.models.families import build_model
from transfer.models.matmul_convs import SmallMapConv2d, use_matmul_convs
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_agrees_with_torchvisions_published_figures(name: str) -> None:
    published = torchvision.models.get_model_weights(name).DEFAULT.meta
    model = build_model(name, 1000, 224)
    assert count_parameters(model) == published["num_params"]
    # Published in units of 10^9, rounded to three digits.
    assert count_macs(model, 224) / 1e9 == pytest.approx(published["_ops"], abs=6e-3)


def test_the_head_alone() -> None:
    model = build_model("resnet18", 10, 32)
    assert count_parameters(model, "head") == 5130


def test_size_counts_parameters_and_buffers() -> None:
    assert size_mb(torch.nn.BatchNorm2d(1000)) == pytest.approx((4 * 4000 + 8) / 1e6)


def test_latency_is_positive_and_grows_with_the_image() -> None:
    model = build_model("simple_cnn", 10, 32)
    small, large = (statistics.median(latencies_ms(model, size, CPU)) for size in (32, 256))
    assert 0 < small < large


def test_latency_is_measured_a_few_times_where_it_is_long() -> None:
    model = build_model("resnet18", 10, 32)
    times = latencies_ms(model, 128, CPU, batch_size=16, repeats=10_000)
    assert 5 <= len(times) < 10_000


class _Large(torch.nn.Module):
    """A network whose activations of several images are a million gigabytes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.empty(10**15) if len(images) > 1 else images


def test_a_latency_that_does_not_fit_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    metrics = cost_metrics(_Large(), 8, CPU)
    assert {name for name in metrics if "latency" in name} == {
        "profile/latency_ms",
        "profile/latency_p90_ms",
    }
    assert caplog.messages == ["no latency of 64 images of 8 px: out of memory"]


def test_latency_is_that_of_torchs_own_layers() -> None:
    """What is timed is what another program gets that loads the weights: not the layers, the layout
    or the mode of training, which are as they were afterwards."""
    model = build_model("mobilenet_v3_small", 10, 32).train()
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    use_matmul_convs(model)
    exported = as_exported(model)
    twin = build_model("mobilenet_v3_small", 10, 32).eval()
    twin.load_state_dict(model.state_dict())
    pairs = zip(exported.modules(), twin.modules(), strict=True)
    assert all(type(one) is type(other) for one, other in pairs)
    images = torch.rand(8, 3, 32, 32)
    assert torch.equal(exported(images), twin(images))
    assert not exported.training
    assert all(each.is_contiguous() for each in exported.parameters())
    assert cost_metrics(model, 32, CPU).keys() == {
        "profile/size_mb",
        *("profile/latency_ms", "profile/latency_p90_ms"),
        *("profile/latency_64_ms", "profile/latency_64_p90_ms"),
    }
    assert model.training
    assert any(type(module) is SmallMapConv2d for module in model.modules())
