"""From a batch of stored images to what a network reads: resize, augment, normalise.

What is random is drawn first, and on the CPU: a GPU then has the same list of operations to do for
each batch, on other numbers.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.augment.color import color_jitter, random_jitter
from transfer.augment.crops import random_boxes, resized_crop
from transfer.augment.geometry import (
    crop,
    flip,
    random_angles,
    random_flips,
    random_offsets,
    rotate,
)
from transfer.augment.trivial import random_changes, trivial_augment
from transfer.config.schema import AugmentConfig
from transfer.system.device import memory_format

Draws = Mapping[str, Tensor]

# crop_padding is given for images of this size and grows with image_size, so that a
# sweep over sizes shifts by the same share of the picture.
_PADDING_REFERENCE_SIZE = 32


def draw(count: int, size: int, config: AugmentConfig, generator: torch.Generator) -> Draws:
    """What `augment` does to each of so many images, at random.

    Args:
        size: pixels of their edge.
        config: how strong each is; 0 (or false) leaves it out.
        generator: CPU generator.
    """
    draws: dict[str, Tensor] = {}
    # Drawn where the padding comes to no pixel, too: what follows is the same at every size.
    if config.crop_padding:
        draws["offsets"] = random_offsets(count, _padding(size, config), generator)
    if config.flip:
        draws["flips"] = random_flips(count, generator)
    if config.trivial:
        draws["operations"], draws["magnitudes"] = random_changes(count, generator)
    jitter = (config.brightness, config.contrast, config.saturation, config.hue)
    if any(jitter):
        draws["amounts"], draws["order"] = random_jitter(count, jitter, generator)
    if config.rotation:
        draws["angles"] = random_angles(count, config.rotation, generator)
    return draws


def augment(images: Tensor, config: AugmentConfig, draws: Draws) -> Tensor:
    """Crop, flip, TrivialAugment, colour jitter, rotation, in this order, as was drawn.

    Args:
        images: float [N, 3, H, W], 0 to 1, at the size that the network reads.

    Returns:
        float [N, 3, H, W], 0 to 1.
    """
    if "offsets" in draws:
        images = crop(images, _padding(images.shape[-1], config), draws["offsets"])
    if "flips" in draws:
        images = flip(images, draws["flips"])
    if "operations" in draws:
        images = trivial_augment(images, draws["operations"], draws["magnitudes"])
    if "amounts" in draws:
        images = color_jitter(images, draws["amounts"], draws["order"])
    if "angles" in draws:
        images = rotate(images, draws["angles"])
    return images


def _padding(size: int, config: AugmentConfig) -> int:
    return round(config.crop_padding * size / _PADDING_REFERENCE_SIZE)


class Preprocess:
    """uint8 [N, 3, h, w] to normalised float32 [N, 3, image_size, image_size].

    Args:
        image_size: pixels.
        mean, std: of each channel, on a scale of 0 to 1.
        config: the augmentation of training images.
        interpolation: "bilinear" or "bicubic", by which images are resized.
    """

    def __init__(
        self,
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        config: AugmentConfig,
        interpolation: str = "bilinear",
    ) -> None:
        self.image_size = image_size
        self.interpolation = interpolation
        self.mean = torch.tensor(mean).view(1, 3, 1, 1)
        self.std = torch.tensor(std).view(1, 3, 1, 1)
        self.config = config

    @property
    def repeats(self) -> bool:
        """Whether the same operations are done to every batch: TrivialAugment's differ by what was
        drawn."""
        return not self.config.trivial

    def draw(self, images: Tensor, generator: torch.Generator | None) -> Draws:
        """The augmentation of a batch of stored images, on the CPU.

        Args:
            generator: CPU generator; None: nothing is done to the images.
        """
        if generator is None:
            return {}
        count, _, height, width = images.shape
        boxes: Draws = {}
        if self.config.crop_scale < 1:
            least = self.config.crop_scale
            boxes = {"boxes": random_boxes(count, height, width, least, generator)}
        return {**boxes, **draw(count, self.image_size, self.config, generator)}

    def __call__(self, images: Tensor, draws: Draws | None = None) -> Tensor:
        """Augment only by what was drawn: evaluation images are augmented on request alone."""
        draws = draws or {}
        pixels = augment(self._resized(images.float() / 255, draws), self.config, draws)
        if self.mean.device != pixels.device:
            # Once: a copy to a GPU makes it wait.
            self.mean, self.std = self.mean.to(pixels.device), self.std.to(pixels.device)
        normalised = (pixels - self.mean) / self.std
        return normalised.contiguous(memory_format=memory_format(pixels.device))

    def _resized(self, pixels: Tensor, draws: Draws) -> Tensor:
        """All of each image, or a random part of it, as large as the network reads it."""
        size = (self.image_size, self.image_size)
        if "boxes" in draws:
            pixels = resized_crop(pixels, draws["boxes"], self.image_size, self.interpolation)
        elif pixels.shape[-2:] != size:
            pixels = F.interpolate(pixels, size, mode=self.interpolation, antialias=True)
        # A cubic overshoots at edges.
        return pixels.clamp(0, 1) if self.interpolation == "bicubic" else pixels
