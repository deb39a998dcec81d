"""A trained classifier as one file, and back: weights with all that a prediction needs."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from transfer.augment import Preprocess
from transfer.config.schema import AugmentConfig
from transfer.data.decode import resize_square
from transfer.models.families import build_model, family_named
from transfer.models.normalization import TRANSFORM_INPUT, Normalization
from transfer.models.weights import TrainedOn

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """A class name with its probability, 0 to 1."""

    name: str
    probability: float


@dataclass(frozen=True)
class Classifier:
    """A model in evaluation mode that reads pictures of any size.

    Attributes:
        stored_size: pixels of the squares in which its test images were kept.
        fit: how they became squares, as `resize_square` has it.
    """

    model: nn.Module
    classes: tuple[str, ...]
    preprocess: Preprocess
    device: torch.device
    stored_size: int
    fit: str

    @torch.inference_mode()
    def classify(self, picture: Image.Image) -> list[Prediction]:
        """Every class with its probability for an RGB picture, the most probable first."""
        # As the images of a folder are kept.
        interpolation = self.preprocess.interpolation
        square = resize_square(picture, self.stored_size, self.fit, interpolation)
        pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1).unsqueeze(0)
        logits = self.model(self.preprocess(pixels.to(self.device)))
        probabilities = logits.softmax(dim=1)[0].tolist()
        pairs = zip(self.classes, probabilities, strict=True)
        predictions = [Prediction(*pair) for pair in pairs]
        return sorted(predictions, key=lambda prediction: -prediction.probability)


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
        stored_size, fit: as `Classifier` has them.
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


def load_classifier(path: Path, device: torch.device) -> Classifier:
    """Read what `save_classifier` wrote."""
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
    return Classifier(
        model.eval().to(device),
        tuple(classes),
        preprocess,
        device,
        # Files of before these were kept: central squares, of the size that was read.
        int(metadata.get("stored_size", image_size)),
        metadata.get("fit", "crop"),
    )
