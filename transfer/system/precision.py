"""`precision=auto`: the faster one of float32 and bfloat16, for a model on a device.

GPUs that compute in bfloat16 are faster in it throughout. A CPU with AVX-512's bfloat16
instructions is where the work lies in matrix products and dense convolutions, and slower where
it lies in depthwise ones, for which oneDNN has no fast gradient in bfloat16. Without the
instructions bfloat16 is emulated, and slower.

Measured on a core of an AMD EPYC (Zen 4), torch 2.13, training steps at 32 px, batch 64, bfloat16
against float32, medians of 3 turns (experiments/benchmark.py what=precision clock=cpu):
vit_b_16 1.76 times as fast, swin_t 1.86, vgg11_bn 1.78, resnet50 1.59, resnext50_32x4d 1.54,
simple_cnn 1.52, convnext_tiny 1.49, resnet18 1.44, densenet121 1.40, googlenet 1.28,
regnet_y_400mf 1.11, squeezenet1_1 1.04; shufflenet_v2_x1_0 0.63, mobilenet_v3_small 0.63,
mobilenet_v3_large 0.60, mobilenet_v2 0.59, efficientnet_b0 0.58.
"""

from __future__ import annotations

import torch

# Beginnings of torchvision's names. What was not measured, or gains little, stays float32.
_FASTER_IN_BFLOAT16 = (
    "convnext",
    "densenet",
    "googlenet",
    "regnet",
    "resnet",
    "resnext",
    "simple_cnn",
    "swin",
    "vgg",
    "vit",
)


def resolve_precision(choice: str, device: torch.device, model_name: str) -> str:
    """ "float32" or "bfloat16"; "auto" is what is faster for this model on this device."""
    if choice != "auto":
        return choice
    if device.type == "cuda":
        # including_emulation=False: an older GPU emulates bfloat16 at a fraction of its speed.
        faster = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        dense = model_name.startswith(_FASTER_IN_BFLOAT16)
        faster = device.type == "cpu" and dense and cpu_computes_in_bfloat16()
    return "bfloat16" if faster else "float32"


def cpu_computes_in_bfloat16() -> bool:
    """Whether this CPU has the instructions, and torch the library that uses them."""
    # Not public in torch 2.11 to 2.13; where it is gone, float32 is the safe answer.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return torch.backends.mkldnn.is_available() and bool(supported())
