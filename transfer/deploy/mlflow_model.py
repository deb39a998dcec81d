"""A trained network as an MLflow model."""

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from transfer.deploy.card import card_path
from transfer.deploy.description import INPUT, Description
from transfer.models.matmul_convs import use_matmul_convs
from transfer.system.disk import writing

# What loads and runs each of the two. Left to itself, MLflow starts a process that loads the model
# to see what it imports, and comes to the same after seconds.
_TORCH = ("cloudpickle", "numpy", "pandas", "torch", "tqdm")
_ONNX = ("numpy", "onnx", "onnxruntime")


def save_mlflow_model(model: nn.Module, image_size: int, folder: Path) -> None:
    """Write an MLflow model that reads normalised float32 [N, 3, H, W] and gives logits.

    Args:
        model: is moved to the CPU, and left with torch's own layers.
        folder: replaced where it is there.

    Raises:
        DiskError: the disk is full or read-only.
    """
    import mlflow
    from mlflow.models import infer_signature

    model = model.cpu().eval()
    # The exporter wants one way for every batch, and readers want torch's own layers.
    use_matmul_convs(model, use=False)
    # Two images: the exporter takes a size of one for a constant.
    example = torch.zeros(2, 3, image_size, image_size)
    with torch.inference_mode():
        signature = infer_signature(example.numpy(), model(example).numpy())
    shutil.rmtree(folder, ignore_errors=True)
    with writing(folder):
        mlflow.pytorch.save_model(
            model,
            folder,
            signature=signature,
            input_example=example,
            pip_requirements=_pinned(_TORCH),
        )


def save_served_model(path: Path, description: Description, folder: Path) -> None:
    """Write an MLflow model of an exported ONNX file, with its card. It is served, and loaded as a
    pyfunc, with nothing but what its requirements name: MLflow, NumPy, onnx and onnxruntime.

    It reads what the file does, and gives the name of the most probable `class` beside the file's
    own output.

    Args:
        folder: is not there.

    Raises:
        DiskError: the disk is full or read-only.
    """
    import mlflow
    import onnx
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    model = onnx.load(path)
    _add_class_names(model, description)
    pixels, numbers = (3, description.image_size, description.image_size), np.dtype(np.float32)
    signature = ModelSignature(
        Schema([TensorSpec(numbers, (-1, *pixels), INPUT)]),
        Schema(
            [
                TensorSpec(numbers, (-1, len(description.classes)), description.output),
                TensorSpec(np.dtype(str), (-1,), "class"),
            ]
        ),
    )
    with writing(folder):
        mlflow.onnx.save_model(
            model,
            str(folder),
            signature=signature,
            onnx_execution_providers=["CPUExecutionProvider"],
            metadata=description.metadata(),
            save_as_external_data=False,
            pip_requirements=_pinned(_ONNX),
        )
        shutil.copy(card_path(path), folder / "card.json")


def _add_class_names(model: Any, description: Description) -> None:
    """Give an ONNX model a second output: `class`, string [N], the most probable one's name."""
    from onnx import TensorProto, helper

    names = [each.encode() for each in description.classes]
    strings = helper.make_tensor("names", TensorProto.STRING, [len(names)], names)
    model.graph.initializer.append(strings)
    for operator, inputs, output, axis in (
        ("ArgMax", [description.output], "best", {"axis": 1, "keepdims": 0}),
        ("Gather", ["names", "best"], "class", {"axis": 0}),
    ):
        model.graph.node.append(helper.make_node(operator, inputs, [output], **axis))
    classes = helper.make_tensor_value_info("class", TensorProto.STRING, ["N"])
    model.graph.output.append(classes)


def _pinned(packages: tuple[str, ...]) -> list[str]:
    """Requirements in the versions that are installed; MLflow adds its own."""
    # A build, as in 2.13.0+cpu, is no version that everybody's index has.
    return [f"{name}=={version(name).partition('+')[0]}" for name in packages]
