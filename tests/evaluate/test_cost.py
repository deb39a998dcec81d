"""What a classifier costs, against published figures."""

from __future__ import annotations

import statistics

import pytest
import torch

from transfer.evaluate.cost import (
    count_macs,
    count_parameters,
    latencies_ms,
    peak_memory_mb,
    reset_peak_memory,
    size_mb,
)
from transfer.models.families import build_model
from transfer.system.device import autocast
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
    precision = autocast(CPU, "float32")
    small, large = (
        statistics.median(latencies_ms(model, size, CPU, precision)) for size in (32, 256)
    )
    assert 0 < small < large


def test_latency_is_measured_a_few_times_where_it_is_long() -> None:
    model = build_model("resnet18", 10, 32)
    times = latencies_ms(model, 128, CPU, autocast(CPU, "float32"), batch_size=16, repeats=10_000)
    assert 5 <= len(times) < 10_000


def test_peak_memory_sees_what_was_allocated_and_released() -> None:
    reset_peak_memory(CPU)
    before = peak_memory_mb(CPU)
    torch.ones(50_000_000)
    assert peak_memory_mb(CPU) > before + 150
