"""torchvision imports beside a CPU torch and beside one whose operators load."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from transfer.system.torchvision import declare_operators, load_torchvision, operators_load


def test_models_data_sets_and_transforms_work() -> None:
    torchvision = load_torchvision()
    assert torchvision.models.get_model("resnet18") is not None
    assert torchvision.datasets.CIFAR10 is not None
    assert torchvision.transforms.functional.hflip(torch.ones(3, 2, 2)).shape == (3, 2, 2)


def test_operators_are_declared_only_where_they_do_not_load() -> None:
    load_torchvision()
    declared = declare_operators.cache_info().currsize == 1
    assert torch._C._dispatch_has_kernel("torchvision::nms") or declared
    assert operators_load() == (not declared)


def test_importing_the_project_changes_nothing_until_torchvision_is_asked_for() -> None:
    code = (
        "import sys, transfer.models, transfer.data, transfer.job; import torch; "
        "print('torchvision' in sys.modules, torch._C._dispatch_has_kernel('torchvision::nms'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_operators_that_load_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    assert operators_load()
    assert [path for path in loaded if "_C" in path]


def test_a_library_for_another_torch_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> None:
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(torch.ops, "load_library", fail)
    assert not operators_load()
