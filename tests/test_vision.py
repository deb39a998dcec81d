"""torchvision imports beside a CPU torch and beside one whose operators load."""

from __future__ import annotations

import pytest
import torch

from transfer import vision


def test_models_data_sets_and_transforms_work() -> None:
    assert vision.torchvision.models.get_model("resnet18") is not None
    assert vision.torchvision.datasets.CIFAR10 is not None
    assert vision.torchvision.transforms.functional.hflip(torch.ones(3, 2, 2)).shape == (3, 2, 2)


def test_operators_are_declared_only_where_they_do_not_load() -> None:
    assert torch._C._dispatch_has_kernel("torchvision::nms") or vision._library is not None
    assert vision._operators_load() == (vision._library is None)


def test_operators_that_load_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    assert vision._operators_load()
    assert [path for path in loaded if "_C" in path]


def test_a_library_for_another_torch_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> None:
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(torch.ops, "load_library", fail)
    assert not vision._operators_load()
