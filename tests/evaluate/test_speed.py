"""How long a candidate's images take, tried on a few."""

from __future__ import annotations

import time

import pytest
import torch

from transfer.evaluate import speed


@pytest.mark.parametrize(("device", "least", "most"), [("cpu", 0.2, 1.0), ("meta", 0.0, 0.1)])
def test_a_long_first_call_is_a_cpus_speed_and_a_gpus_start(
    device: str, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any device but a CPU stands for a GPU here."""
    monkeypatch.setattr(speed, "_LONG_S", 0.1)
    calls = iter([0.2])
    seconds = speed._seconds(lambda: time.sleep(next(calls, 0.001)), torch.device(device))
    assert least <= seconds < most
