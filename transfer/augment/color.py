"""Colour jitter, drawn anew for each image of a batch, after torchvision's ``ColorJitter``.

Images are float [N, 3, H, W], 0 to 1; a factor is [N], one number an image.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# ITU-R BT.601 luma, as in torchvision's rgb_to_grayscale.
_LUMA = (0.2989, 0.587, 0.114)


def adjust_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Scale: 0 is black, 1 changes nothing."""
    return (images * _each(factor)).clamp_(0, 1)


def adjust_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from, or towards, the image's mean grey level: 0 is grey, 1 changes nothing."""
    mean = _grey(images).mean(dim=(1, 2, 3), keepdim=True)
    return mean.lerp(images, _each(factor)).clamp_(0, 1)


def adjust_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move away from, or towards, each pixel's grey level: 0 is grey, 1 changes nothing."""
    return _grey(images).expand_as(images).lerp(images, _each(factor)).clamp_(0, 1)


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the colour circle by `shift`, -0.5 to 0.5 of a turn, through HSV.

    Source: Smith 1978, "Color gamut transform pairs" (hexcone model).
    """
    hue, chroma, value = _hue_chroma_value(images)
    hue = hue + 6 * _each(shift)
    channels = []
    for offset in (5, 3, 1):
        # A channel is a trapezoid of the hue: at its peak for two sixths, at its floor for two.
        position = (hue + offset).remainder(6)
        channels.append(value - chroma * torch.minimum(position, 4 - position).clamp_(0, 1))
    return torch.cat(channels, dim=1)


def random_color_jitter(
    images: Tensor,
    *,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    generator: torch.Generator,
) -> Tensor:
    """Brightness, contrast, saturation and hue of each image, in an order drawn for each image.

    Args:
        images: float [N, 3, H, W], 0 to 1.
        brightness, contrast, saturation: 0 to 1; the factor is drawn from 1 - value to 1 + value.
        hue: 0 to 0.5; the shift is drawn from -hue to hue.
        generator: CPU generator.

    Returns:
        [N, 3, H, W], 0 to 1, a new tensor.
    """
    count = len(images)

    def draw(center: float, spread: float) -> Tensor:
        uniform = torch.rand(count, generator=generator) * 2 - 1
        return (center + spread * uniform).to(images.device)

    steps: list[tuple[Callable[[Tensor, Tensor], Tensor], Tensor]] = [
        (adjust_brightness, draw(1, brightness)),
        (adjust_contrast, draw(1, contrast)),
        (adjust_saturation, draw(1, saturation)),
        (adjust_hue, draw(0, hue)),
    ]
    # Contrast after brightness is not brightness after contrast: torchvision draws the order
    # for each image, and so does this, by doing each step on those images whose turn it is.
    order = torch.rand(count, len(steps), generator=generator).argsort(dim=1).to(images.device)
    images = images.clone()
    for turn in range(len(steps)):
        for index, (adjust, factor) in enumerate(steps):
            chosen = (order[:, turn] == index).nonzero().squeeze(1)
            images[chosen] = adjust(images[chosen], factor[chosen])
    return images


def _each(factor: Tensor) -> Tensor:
    return factor[:, None, None, None]


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]


def _hue_chroma_value(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in sixths of a turn, chroma (value minus the least channel) and value: [N, 1, H, W]."""
    red, green, blue = images.split(1, dim=1)
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    divisor = torch.where(chroma == 0, 1.0, chroma)
    from_red = (green - blue) / divisor
    from_green = 2 + (blue - red) / divisor
    from_blue = 4 + (red - green) / divisor
    hue = torch.where(value == red, from_red, torch.where(value == green, from_green, from_blue))
    return hue, chroma, value
