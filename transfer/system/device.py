"""Where to compute, in which precision, and with which memory.

GPUs that compute in bfloat16 are faster in it throughout. A CPU with AVX-512's bfloat16
instructions is where the work lies in matmuls and dense convolutions, and slower where it lies in
depthwise ones, for which oneDNN has no fast gradient in bfloat16: a family of models says which of
its own are dense, as measured. Without the instructions bfloat16 is emulated, and slower.
"""

import ctypes
import platform
import re
import sys
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from transfer.system.device_names import DEVICE_NAMES, is_device_name
from transfer.system.errors import ConfigError

# Where Linux tells of its processors.
_CPUS = Path("/proc/cpuinfo")
# From glibc's malloc.h: no block of its own mapping (M_MMAP_MAX), up to 1 GiB kept
# (M_TRIM_THRESHOLD), and 64 MiB asked for at a time (M_TOP_PAD).
_MALLOC_OPTIONS = {-4: 0, -1: 2**30, -2: 2**26}
# What torch's allocators say, on a CPU, on Windows, on MPS, and what CUDA's libraries say. For
# CUDA's allocator torch has a class.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")


def resolve_device(choice: str, number: int = 0) -> torch.device:
    """The device that `device=` names; "auto" is CUDA, else MPS, else the CPU.

    Args:
        number: of the job among those that run at the same time: "auto" deals out the GPUs.

    Raises:
        ConfigError: this machine has no such device, or there is none of this name.
    """
    if not is_device_name(choice):
        raise ConfigError("device", choice, f"choose from {DEVICE_NAMES}")
    if choice == "auto":
        if torch.cuda.is_available():
            return torch.device(assign_gpu(number, torch.cuda.device_count()))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device, gpus = torch.device(choice), torch.cuda.device_count()
    problem = None
    if device.type == "cuda" and (device.index or 0) >= gpus:
        problem = f"this machine has {gpus} CUDA devices"
    if device.type == "mps" and not torch.backends.mps.is_available():
        problem = "this machine has no MPS device"
    if problem:
        raise ConfigError("device", choice, f"{problem}; try device=auto")
    return device


def device_name(device: torch.device) -> str:
    """What its maker calls a device, such as "NVIDIA H200": times of one say nothing of another."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        with suppress(OSError):
            found = re.search(r"^model name\s*:\s*(.+)$", _CPUS.read_text(), re.MULTILINE)
            if found is not None:
                return found[1].strip()
    return platform.processor() or platform.machine()


def count_gpus(choice: str) -> int:
    """How many GPUs jobs with `device=choice` are dealt out to; starts none of them."""
    if choice == "auto":
        # Apple's is one.
        return torch.cuda.device_count() or int(torch.backends.mps.is_available())
    return int(choice != "cpu")


def assign_gpu(number: int, gpus: int) -> str:
    """The GPU of job `number`, where there are `gpus` of them."""
    return f"cuda:{number % gpus}" if gpus > 1 else "cuda"


def resolve_precision(choice: str, device: torch.device, *, dense: bool) -> str:
    """ "float32" or "bfloat16"; "auto" is what is faster on this device.

    Args:
        dense: whether most of the model's work is matmuls and dense convolutions.
    """
    if choice != "auto":
        return choice
    if device.type == "cuda":
        # including_emulation=False: an older GPU emulates bfloat16 at a fraction of its speed.
        with torch.cuda.device(device):
            faster = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        faster = device.type == "cpu" and dense and cpu_computes_in_bfloat16()
    return "bfloat16" if faster else "float32"


def cpu_computes_in_bfloat16() -> bool:
    """Whether this CPU has the instructions, and torch the library that uses them."""
    # Not public in torch 2.11 to 2.13; where it is gone, float32 is the safe answer.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.backends.mkldnn.is_available() and bool(supported())


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context that computes in `precision`; parameters and statistics stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def memory_format(device: torch.device) -> torch.memory_format:
    """In which order images lie: the faster one for convolutions."""
    # In MPS, channels_last has crashed and given wrong gradients (pytorch issues 181411, 188371).
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy of what the CPU drew or decoded, on the device; a GPU is not waited for.

    Memory that is not pinned is read before the copy begins, so that it may change afterwards.
    """
    # In MPS, a tensor that is dropped meanwhile has been copied wrongly (pytorch issue 189690).
    return tensor.to(device, non_blocking=device.type == "cuda")


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given: before a clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def is_out_of_memory(error: Exception) -> bool:
    """Whether numpy, Python or torch raised it for want of memory, on whatever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def keep_freed_memory() -> None:
    """Let the C library keep what a training step frees, for the next step.

    glibc returns large blocks to the kernel at once, which then clears each page again when it
    is touched. Other C libraries are left as they are.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        set_option = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, value in _MALLOC_OPTIONS.items():
        set_option(option, value)
