"""A trained classifier as a deployer wants it: one module from pixels to probabilities, and the
graph of it that files hold."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from transfer.deploy.classifier import Classifier
from transfer.evaluate.cost import as_exported
from transfer.system.errors import ConfigError, first_line


class PixelNetwork(nn.Module):
    """float32 [N, 3, S, S], RGB from 0 to 1, to float32 [N, K]: logits, or with `softmax`
    probabilities."""

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: Classifier, *, softmax: bool) -> None:
        super().__init__()
        self.network = as_exported(classifier.model)
        self.softmax = softmax
        self.register_buffer("mean", classifier.preprocess.mean.cpu().clone())
        self.register_buffer("std", classifier.preprocess.std.cpu().clone())
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits.softmax(dim=1) if self.softmax else logits


def export_program(
    network: nn.Module, image_size: int, *, key: str, value: str
) -> torch.export.ExportedProgram:
    """The graph of a network, for any number of images.

    Args:
        key, value: what the user wrote, for the message.

    Raises:
        ConfigError: torch cannot export it.
    """
    # Two images: the exporter takes a size of one for a constant.
    example = (torch.zeros(2, 3, image_size, image_size),)
    batch = ({0: torch.export.Dim.AUTO},)
    try:
        with torch.no_grad(), quiet():
            return torch.export.export(network, example, dynamic_shapes=batch)
    except Exception as error:
        problem = f"torch cannot export this network ({type(error).__name__}: {first_line(error)})"
        raise ConfigError(key, value, problem) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to themselves what exporters say of their own future."""
    former, handlers = logging.root.manager.disable, list(logging.root.handlers)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(former)
        # onnxruntime's logging.info gives the root one, which would change what others say after.
        logging.root.handlers[:] = handlers
