"""Which device and which precision a choice stands for."""

from __future__ import annotations

import pytest
import torch

from transfer.config import ConfigError
from transfer.device import autocast, resolve_device, resolve_precision


def test_auto_finds_a_device() -> None:
    assert resolve_device("auto").type in ("cuda", "mps", "cpu")


def test_a_device_that_is_not_there_is_refused() -> None:
    missing = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ConfigError, match=f"device={missing}: this machine has"):
        resolve_device(missing)


def test_precision_on_a_cpu() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) == "float32"
    assert resolve_precision("bfloat16", cpu) == "bfloat16"


def test_autocast_computes_in_the_precision_asked_for() -> None:
    layer = torch.nn.Linear(4, 4)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with autocast(torch.device("cpu"), precision):
            assert layer(torch.ones(1, 4)).dtype == dtype
