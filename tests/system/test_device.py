"""Which device and precision a choice stands for, and what autocast computes in."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT
from transfer.system import device
from transfer.system.device import (
    assign_gpu,
    autocast,
    device_name,
    is_out_of_memory,
    memory_format,
    resolve_device,
    resolve_precision,
)
from transfer.system.errors import ConfigError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(2, True, "cuda:1"), (1, False, "cuda"), (0, True, "mps"), (0, False, "cpu")],
)
def test_auto_prefers_cuda_then_mps(
    cuda: int, mps: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert str(resolve_device("auto", number=3)) == chosen


def test_apple_gpus_are_spared_channels_last() -> None:
    assert memory_format(torch.device("mps")) == torch.contiguous_format
    assert memory_format(torch.device("cpu")) == torch.channels_last


def test_a_device_that_is_not_there_is_refused() -> None:
    missing = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(ConfigError, match=f"device={missing}: this machine has"):
        resolve_device(missing)


def test_a_device_has_its_makers_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = {"cuda:0": "NVIDIA A", "cuda:1": "NVIDIA B"}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda each: names[str(each)])
    assert device_name(torch.device("cuda:1")) == "NVIDIA B"
    cpus = tmp_path / "cpuinfo"
    monkeypatch.setattr(device, "_CPUS", cpus)
    assert device_name(CPU) == (platform.processor() or platform.machine())
    cpus.write_text("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nmodel name\t: A CPU @ 2 GHz\n")
    assert device_name(CPU) == "A CPU @ 2 GHz"


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "meta", "xpu"])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device={name}: choose from auto, cpu, cuda, cuda:<nu"):
        resolve_device(name)


@pytest.mark.parametrize("library", ["CUBLAS", "CUDNN"])
def test_what_libraries_say_of_a_full_gpu_is_known(library: str) -> None:
    assert is_out_of_memory(RuntimeError(f"error: {library}_STATUS_ALLOC_FAILED when calling"))
    assert not is_out_of_memory(RuntimeError(f"error: {library}_STATUS_EXECUTION_FAILED"))


def test_jobs_at_the_same_time_share_the_gpus() -> None:
    dealt = [assign_gpu(number, gpus=3) for number in range(7)]
    assert dealt == ["cuda:0", "cuda:1", "cuda:2"] * 2 + ["cuda:0"]
    assert {assign_gpu(number, gpus=1) for number in range(3)} == {"cuda"}


def test_autocast_computes_in_the_precision_asked_for() -> None:
    layer = torch.nn.Linear(4, 4)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with autocast(CPU, precision):
            assert layer(torch.ones(1, 4)).dtype == dtype


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc is what is tuned")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    """In a process of its own: touching the same 64 MB again costs no page faults."""
    code = """
import resource, torch
from transfer.system.device import keep_freed_memory
keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
counts = [faults() for _ in range(20)]
assert counts[0] > 10_000 and counts[-1] < 1000, counts
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


@pytest.mark.parametrize("fast", [False, True])
def test_auto_goes_by_the_model_where_the_cpu_has_bfloat16(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "cpu_computes_in_bfloat16", lambda: fast)
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
        assert device.cpu_computes_in_bfloat16() == answer
