"""A trained network as an MLflow model."""

import shutil
from pathlib import Path

import torch
from torch import nn

from transfer.models.matmul_convs import use_matmul_convs
from transfer.system.disk import writing


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
        mlflow.pytorch.save_model(model, folder, signature=signature, input_example=example)
