"""How pixels become what a network reads: by the mean and std that its weights were trained with.

Other ones shift every activation of a frozen network: EfficientNet-Lite0 loses 5 points of
accuracy on CIFAR-10 with those of the data (docs/weights.md).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self

from transfer.augment import Preprocess
from transfer.config.schema import AugmentConfig, DataConfig
from transfer.models.families import FAMILIES
from transfer.models.families.base import InputTransform, PublishedWeights

Statistics = tuple[tuple[float, ...], tuple[float, ...]]

# Where mean and std come from, as the line at a job's start tells it.
_SOURCES = {
    "weights": "as the weights were trained",
    "published": "as the published weights of the model were trained, for the file says nothing",
    "images": "by the training images",
    "chosen": "as data.mean and data.std say",
}
# The name in a file's metadata of what torchvision calls so: "true" or "false".
TRANSFORM_INPUT = "transform_input"
# From here on, the size of images is one more thing that is new to the weights.
_FAR = 1.5


@dataclass(frozen=True)
class Normalization:
    """What is done to images before a network reads them.

    Attributes:
        mean, std: a value a channel, of images from 0 to 1.
        interpolation: "bilinear" or "bicubic", by which images are resized.
        image_size: pixels that the weights were trained with; None where nobody knows.
        source: of mean and std: "weights", "published" (of others for the same model), "images"
            (measured on them) or "chosen" (`data.mean`, `data.std`).
        undone: what the model does to its images itself, and did not when the weights were trained:
            it is taken back beforehand. None where there is no such thing.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"
    image_size: int | None = None
    source: str = "weights"
    undone: InputTransform | None = None

    @classmethod
    def of_published(cls, published: PublishedWeights, source: str = "weights") -> Self:
        """What a family's makers say of their weights."""
        return cls(
            mean=tuple(published.mean),
            std=tuple(published.std),
            interpolation=published.interpolation,
            image_size=published.crop,
            source=source,
        )

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, str] | None) -> Self | None:
        """What `metadata` wrote; None where a file of weights has nothing of it."""
        if not metadata or not {"mean", "std"} <= metadata.keys():
            return None
        size = metadata.get("image_size")
        return cls(
            mean=tuple(json.loads(metadata["mean"])),
            std=tuple(json.loads(metadata["std"])),
            # Runs of before it was kept knew no other.
            interpolation=metadata.get("interpolation", "bilinear"),
            image_size=None if size is None else int(size),
            undone=_undone(metadata),
        )

    def preprocess(self, image_size: int, augment: AugmentConfig) -> Preprocess:
        """What images of a batch go through before a network reads them."""
        return Preprocess(image_size, *self._before_the_model, augment, self.interpolation)

    @property
    def _before_the_model(self) -> Statistics:
        """Mean and std that make of images what the model, after a scale and a shift of its own,
        turns into those of `mean` and `std`."""
        if self.undone is None:
            return self.mean, self.std
        channels = zip(self.mean, self.std, self.undone.shift, strict=True)
        mean = tuple(mean + shift * std for mean, std, shift in channels)
        pairs = zip(self.std, self.undone.scale, strict=True)
        return mean, tuple(std * scale for std, scale in pairs)

    def metadata(self) -> dict[str, str]:
        """As a safetensors file holds it beside its tensors."""
        return {
            "mean": json.dumps(self.mean),
            "std": json.dumps(self.std),
            "interpolation": self.interpolation,
        }

    def params(self) -> dict[str, str]:
        """As a run's parameters tell it."""
        return {
            "normalization.mean": _numbers(self.mean),
            "normalization.std": _numbers(self.std),
            "normalization.interpolation": self.interpolation,
            "normalization.source": self.source,
        }

    def text(self, image_size: int) -> str:
        """A sentence for the start of a job on images of so many pixels."""
        text = f"normalised {_SOURCES[self.source]}: mean {_numbers(self.mean)}"
        text += f", std {_numbers(self.std)}"
        if self.interpolation != "bilinear":
            text += f", {self.interpolation}"
        if self.undone is not None:
            text += "; without transform_input, as the weights were trained"
        if self.image_size is not None and not (1 / _FAR <= image_size / self.image_size <= _FAR):
            text += f"; the weights saw images of {self.image_size} px, image_size is {image_size}"
        return text


def choose_normalization(
    config: DataConfig, own: Normalization | None, measure: Callable[[], Statistics]
) -> Normalization:
    """The normalisation of a job: that of its weights, unless something else is asked for.

    Args:
        own: what came with the weights; None where nothing did, as with random ones.
        measure: gives mean and std of the training images; called only where they are needed.
    """
    found = own
    if found is None or config.normalization == "images":
        # Adding up may take a second on a large set.
        given = config.mean and config.std
        mean, std = ((), ()) if given else measure()
        blank = found or Normalization((), ())
        found = replace(blank, mean=mean, std=std, source="images")
    if config.mean or config.std:
        mean, std = tuple(config.mean or found.mean), tuple(config.std or found.std)
        found = replace(found, mean=mean, std=std, source="chosen")
    return found


def _undone(metadata: Mapping[str, str]) -> InputTransform | None:
    """What the model of a file of this project does to its images and did not in training. Files of
    before it was kept tell by what else they lack: models have done so for as long as there has
    been `interpolation` in the files.
    """
    default = "true" if "interpolation" in metadata else "false"
    if metadata.get(TRANSFORM_INPUT, default) != "false":
        return None
    name = metadata.get("model", "")
    family = next((each for each in FAMILIES if each.knows(name)), None)
    return family.input_transform(name) if family else None


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)
