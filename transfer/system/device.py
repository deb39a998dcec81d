"""Where to compute, and with which memory."""

import ctypes
import sys

import torch

from transfer.system.errors import ConfigError

# From glibc's malloc.h: no block of its own mapping (M_MMAP_MAX), up to 1 GiB kept
# (M_TRIM_THRESHOLD), and 64 MiB asked for at a time (M_TOP_PAD).
_MALLOC_OPTIONS = {-4: 0, -1: 2**30, -2: 2**26}


def resolve_device(choice: str, number: int = 0) -> torch.device:
    """The device that `device=` names; "auto" is CUDA, else MPS, else the CPU.

    Args:
        number: of the job among those that run at the same time: "auto" deals out the GPUs.

    Raises:
        ConfigError: this machine has no such device.
    """
    if choice == "auto":
        if torch.cuda.is_available():
            return torch.device(assign_gpu(number, torch.cuda.device_count()))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(choice)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        have = torch.cuda.device_count()
        raise ConfigError(
            "device", choice, f"this machine has {have} CUDA devices; try device=auto"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device", choice, "this machine has no MPS device; try device=auto")
    return device


def assign_gpu(number: int, gpus: int) -> str:
    """The GPU of job `number`, where there are `gpus` of them."""
    return f"cuda:{number % gpus}" if gpus > 1 else "cuda"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context that computes in `precision`; parameters and statistics stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def memory_format(device: torch.device) -> torch.memory_format:
    """In which order images lie: the faster one for convolutions."""
    # In MPS, channels_last has crashed and given wrong gradients (pytorch issues 181411, 188371).
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given: before a clock is read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


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
