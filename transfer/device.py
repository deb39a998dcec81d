"""Where to compute, and in which precision."""

from __future__ import annotations

import torch

from transfer.config import ConfigError


def resolve_device(choice: str) -> torch.device:
    """The device that `device=` names; "auto" is CUDA, else MPS, else the CPU.

    Raises:
        ConfigError: this machine has no such device.
    """
    if choice == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
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


def resolve_precision(choice: str, device: torch.device) -> str:
    """ "float32" or "bfloat16"; "auto" is bfloat16 on CUDA hardware that computes in it."""
    if choice != "auto":
        return choice
    # including_emulation=False: an older GPU emulates bfloat16 at a fraction of its speed.
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if fast else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context that computes in `precision`; parameters and statistics stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
