"""From a batch of stored images to what a network reads: resize, augment, normalise."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.augment.color import random_color_jitter
from transfer.augment.crops import random_resized_crop
from transfer.augment.geometry import random_crop, random_flip, random_rotation
from transfer.augment.trivial import random_trivial_augment
from transfer.config.schema import AugmentConfig
from transfer.system.device import memory_format

# crop_padding is given for images of this size and grows with image_size, so that a
# sweep over sizes shifts by the same share of the picture.
_PADDING_REFERENCE_SIZE = 32


def augment(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Crop, flip, TrivialAugment, colour jitter, rotation, in this order, random for each image.

    Args:
        images: float [N, 3, H, W], 0 to 1, at the size that the network reads.
        config: how strong each is; 0 (or false) leaves it out.
        generator: CPU generator.

    Returns:
        float [N, 3, H, W], 0 to 1.
    """
    if config.crop_padding:
        padding = round(config.crop_padding * images.shape[-1] / _PADDING_REFERENCE_SIZE)
        images = random_crop(images, padding, generator)
    if config.flip:
        images = random_flip(images, generator)
    if config.trivial:
        images = random_trivial_augment(images, generator)
    jitter = (config.brightness, config.contrast, config.saturation, config.hue)
    if any(jitter):
        images = random_color_jitter(images, jitter, generator)
    if config.rotation:
        images = random_rotation(images, config.rotation, generator)
    return images


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

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Augment only when given a generator: evaluation images are augmented on request alone."""
        pixels = self._resized(images.float() / 255, generator)
        if generator is not None:
            pixels = augment(pixels, self.config, generator)
        if self.mean.device != pixels.device:
            # Once: a copy to a GPU makes it wait.
            self.mean, self.std = self.mean.to(pixels.device), self.std.to(pixels.device)
        normalised = (pixels - self.mean) / self.std
        return normalised.contiguous(memory_format=memory_format(pixels.device))

    def _resized(self, pixels: Tensor, generator: torch.Generator | None) -> Tensor:
        """All of each image, or a random part of it, as large as the network reads it."""
        size, least_area = (self.image_size, self.image_size), self.config.crop_scale
        if generator is not None and least_area < 1:
            pixels = random_resized_crop(
                pixels, self.image_size, least_area, generator, self.interpolation
            )
        elif pixels.shape[-2:] != size:
            pixels = F.interpolate(pixels, size, mode=self.interpolation, antialias=True)
        # A cubic overshoots at edges.
        return pixels.clamp(0, 1) if self.interpolation == "bicubic" else pixels
