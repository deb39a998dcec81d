"""What precision=auto stands for."""

from __future__ import annotations

import pytest
import torch

from transfer.system import precision
from transfer.system.precision import resolve_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("fast", [False, True])
def test_auto_goes_by_the_model_where_the_cpu_has_bfloat16(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "cpu_computes_in_bfloat16", lambda: fast)
    assert resolve_precision("auto", CPU, dense=True) == ("bfloat16" if fast else "float32")
    assert resolve_precision("auto", CPU, dense=False) == "float32"


def test_a_choice_is_kept() -> None:
    for choice in ("float32", "bfloat16"):
        assert resolve_precision(choice, CPU, dense=True) == choice


def test_the_instructions_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not public: that this torch still answers is what matters.
    assert isinstance(torch.cpu._is_avx512_bf16_supported(), bool)
    for answer in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda answer=answer: answer)
        assert precision.cpu_computes_in_bfloat16() == answer
