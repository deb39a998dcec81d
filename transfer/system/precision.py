"""`precision=auto`: the faster one of float32 and bfloat16, for a model on a device.

GPUs that compute in bfloat16 are faster in it throughout. A CPU with AVX-512's bfloat16
instructions is where the work lies in matmuls and dense convolutions, and slower where it lies in
depthwise ones, for which oneDNN has no fast gradient in bfloat16: a family of models says which of
its own are dense, as measured. Without the instructions bfloat16 is emulated, and slower.
"""

import torch


def resolve_precision(choice: str, device: torch.device, *, dense: bool) -> str:
    """ "float32" or "bfloat16"; "auto" is what is faster on this device.

    Args:
        dense: whether most of the model's work is matmuls and dense convolutions.
    """
    if choice != "auto":
        return choice
    if device.type == "cuda":
        # including_emulation=False: an older GPU emulates bfloat16 at a fraction of its speed.
        faster = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        faster = device.type == "cpu" and dense and cpu_computes_in_bfloat16()
    return "bfloat16" if faster else "float32"


def cpu_computes_in_bfloat16() -> bool:
    """Whether this CPU has the instructions, and torch the library that uses them."""
    # Not public in torch 2.11 to 2.13; where it is gone, float32 is the safe answer.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.backends.mkldnn.is_available() and bool(supported())
