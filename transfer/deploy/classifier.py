"""A trained classifier as one file, and back: weights with all that a prediction needs."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from transfer.augment import Preprocess
from transfer.config.schema import AugmentConfig
from transfer.models.families import build_model, family_named
from transfer.models.matmul_convs import use_matmul_convs
from transfer.models.normalization import TRANSFORM_INPUT, Normalization
from transfer.models.weights import TrainedOn
from transfer.system.device import autocast, memory_format

log = logging.getLogger(__name__)


class PictureClassifier(Protocol):
    """A trained network that knows which pixels it wants, whatever kind of file it came from."""

    @property
    def classes(self) -> Sequence[str]:
        """Their names, in the order of the probabilities."""

    @property
    def image_size(self) -> int:
        """Pixels that the network reads, by which whoever feeds it chooses how many at a time."""

    @property
    def stored_size(self) -> int:
        """Pixels of the squares in which its test images were kept."""

    @property
    def fit(self) -> str:
        """How they became squares, as `resize_square` has it."""

    @property
    def interpolation(self) -> str:
        """ "bilinear" or "bicubic", by which they were resized."""

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Give the probability of each class, float32 [N, K] on the CPU.

        Args:
            pixels: uint8 [N, 3, stored_size, stored_size].
        """


@dataclass(frozen=True)
class Classifier:
    """A `PictureClassifier` of torch's: a model in evaluation mode.

    Attributes:
        precision: "float32" or "bfloat16", in which it computes.
    """

    model: nn.Module
    classes: tuple[str, ...]
    preprocess: Preprocess
    device: torch.device
    precision: str
    stored_size: int
    fit: str

    @property
    def image_size(self) -> int:
        return self.preprocess.image_size

    @property
    def interpolation(self) -> str:
        return self.preprocess.interpolation

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        inputs = self.preprocess(pixels.to(self.device))
        with autocast(self.device, self.precision):
            logits = self.model(inputs)
        return logits.float().softmax(dim=1).cpu()


def save_classifier(
    weights: dict[str, Tensor],
    path: Path,
    *,
    model_name: str,
    image_size: int,
    classes: Sequence[str],
    stored_size: int,
    fit: str,
    normalization: Normalization,
    trained_on: TrainedOn | None = None,
) -> None:
    """Write weights as safetensors under the model's own names: anyone can load them without this
    project. Of a model that has transform_input, torchvision's word, the metadata say whether it is
    to be on.

    Args:
        image_size: pixels that the model reads.
        classes: in the order of the logits.
        stored_size, fit: as `PictureClassifier` has them.
        normalization: of the images that it reads.
        trained_on: by which whoever trains on from the file can tell what it may be tested on.
    """
    metadata = {
        "format": "pt",
        "model": model_name,
        "image_size": str(image_size),
        "classes": json.dumps(classes),
        "stored_size": str(stored_size),
        "fit": fit,
        **normalization.metadata(),
        **(trained_on.metadata() if trained_on else {}),
    }
    if family_named(model_name).input_transform(model_name):
        metadata[TRANSFORM_INPUT] = "false" if normalization.undone else "true"
    contiguous = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(contiguous, path, metadata=metadata)


def load_classifier(path: Path, device: torch.device, precision: str = "float32") -> Classifier:
    """Read what `save_classifier` wrote.

    Args:
        precision: "float32" or "bfloat16".
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    classes: Sequence[str] = json.loads(metadata["classes"])
    image_size = int(metadata["image_size"])
    model = build_model(metadata["model"], len(classes), image_size)
    model.load_state_dict(state)
    normal = Normalization.of_metadata(metadata)
    assert normal is not None
    if normal.undone and TRANSFORM_INPUT not in metadata:
        log.warning(
            "%s does not say it: read as weights trained without transform_input", path.name
        )
    preprocess = normal.preprocess(image_size, AugmentConfig())
    if device.type == "cpu":
        # As in training.
        use_matmul_convs(model)
    layout = memory_format(device)
    model = model.eval().to(memory_format=layout).to(device)  # type: ignore[call-overload]
    return Classifier(
        model,
        tuple(classes),
        preprocess,
        device,
        precision,
        # Files of before these were kept: central squares, of the size that was read.
        int(metadata.get("stored_size", image_size)),
        metadata.get("fit", "crop"),
    )
