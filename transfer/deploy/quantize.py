"""Eight-bit integers in the place of float32: post-training static quantisation by onnxruntime.

Weights are int8 with a scale a channel, activations uint8 with a scale a tensor, from the least and
the largest value that calibration images gave it. What is sensitive and costs little stays float32:
the normalisation of the images, softmax, and the layers that normalise (Nagel et al. 2021, "A White
Paper on Neural Network Quantization", https://arxiv.org/abs/2106.08295, sections 2 and 3).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from transfer.data.image_data import Split
from transfer.deploy.description import INPUT, Description
from transfer.deploy.exported import network_inputs
from transfer.deploy.network import quiet
from transfer.system.errors import ConfigError, first_line

if TYPE_CHECKING:
    import onnx

CALIBRATION_IMAGES = 100
_CALIBRATION_SEED = 0
_BATCH = 10
_KEPT_FLOAT = ("Softmax", "LayerNormalization", "InstanceNormalization", "InstanceNorm")


def calibration_images(train: Split) -> Tensor:
    """A hundred training images, drawn by a fixed seed, or all where there are fewer: uint8
    [N, 3, s, s], as they are kept."""
    generator = torch.Generator().manual_seed(_CALIBRATION_SEED)
    return train.take(torch.randperm(len(train), generator=generator)[:CALIBRATION_IMAGES])


def quantize(source: Path, pixels: Tensor, description: Description) -> "onnx.ModelProto":
    """An ONNX file that computes in float32, in eight bits.

    Args:
        pixels: to calibrate on, uint8 [N, 3, stored_size, stored_size].
        description: of the source.

    Raises:
        ConfigError: onnxruntime cannot quantise it.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.registry import QDQRegistry
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = _inputs(pixels, description)

        def get_next(self) -> dict[str, Any] | None:
            return next(self._batches, None)

    with tempfile.TemporaryDirectory() as folder, quiet():
        folded, written = Path(folder) / "folded.onnx", Path(folder) / "int8.onnx"
        try:
            # BatchNorm goes into the convolutions, which are quantised as they will compute.
            quant_pre_process(str(source), str(folded), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(folded),
                str(written),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=[each for each in QDQRegistry if each not in _KEPT_FLOAT],
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        except Exception as error:
            reason = f"{type(error).__name__}: {first_line(error)}"
            problem = f"onnxruntime cannot quantise {description.model} ({reason})"
            raise ConfigError("int8", "true", problem) from error
        return onnx.load(str(written))


def _inputs(pixels: Tensor, description: Description) -> Iterator[dict[str, Any]]:
    for batch in pixels.split(_BATCH):
        yield {INPUT: network_inputs(batch, description).numpy()}
