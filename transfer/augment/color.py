"""Colour jitter, drawn anew for each image of a batch, after torchvision's ``ColorJitter``.

Images are float [N, 3, H, W], 0 to 1; a factor is [N], one number an image. Nothing depends on
what was drawn but numbers: the CPU hands them over, and reads nothing back from a GPU.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from transfer.system.device import send

# ITU-R BT.601 luma, as in torchvision's rgb_to_grayscale.
_LUMA = (0.2989, 0.587, 0.114)

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


def random_jitter(
    count: int, strengths: Sequence[float], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw how much brightness, contrast, saturation and hue of each image change, and in which
    order.

    Args:
        strengths: of brightness, contrast and saturation, 0 to 1: the factor is drawn from
            1 - strength to 1 + strength; of hue, 0 to 0.5: the shift is drawn from -hue to hue.
        generator: CPU generator.

    Returns:
        the amounts and the order, as `color_jitter` takes them.
    """
    uniform = torch.rand(count, 4, generator=generator) * 2 - 1
    amounts = torch.tensor([1.0, 1.0, 1.0, 0.0]) + torch.tensor(strengths) * uniform
    return amounts, torch.rand(count, 4, generator=generator).argsort(dim=1)


def color_jitter(images: Tensor, amounts: Tensor, order: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue, to each image as much and in the order given.

    Contrast after brightness is not brightness after contrast. Hue, which costs most, is done
    once, for the whole batch; the others go around it, three turns before and three after, and an
    image whose turn it is not is blended with nothing.

    Args:
        images: float [N, 3, H, W], 0 to 1.
        amounts: float [N, 4], by BRIGHTNESS, CONTRAST, SATURATION (factors; 1 changes nothing)
            and HUE (-0.5 to 0.5 of a turn; 0 changes nothing).
        order: int64 [N, 4]; row n lists what is done to image n, first to last.

    Returns:
        [N, 3, H, W], 0 to 1, a new tensor.
    """
    amounts, order = send(amounts, images.device), send(order, images.device)
    turn_of_hue = (order == HUE).int().argmax(dim=1)
    factors = amounts.gather(1, order)
    for turn in range(3):
        factor = torch.where(turn < turn_of_hue, factors[:, turn], 1.0)
        images = blend(images, order[:, turn], factor)
    images = _turn_hue(images, amounts[:, HUE])
    for turn in range(1, 4):
        factor = torch.where(turn > turn_of_hue, factors[:, turn], 1.0)
        images = blend(images, order[:, turn], factor)
    return images


def blend(images: Tensor, step: Tensor, factor: Tensor) -> Tensor:
    """Move away from (factor above 1) or towards black for brightness, the image's mean grey
    level for contrast, each pixel's grey level for saturation; a factor of 1 is exact."""
    grey = _grey(images)
    mean = grey.mean(dim=(1, 2, 3), keepdim=True)
    origin = grey * _each(step == SATURATION) + mean * _each(step == CONTRAST)
    return origin.lerp(images, _each(factor)).clamp_(0, 1)


def _turn_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the colour circle by `shift`, -0.5 to 0.5 of a turn, through HSV.

    Source: Smith 1978, "Color gamut transform pairs" (hexcone model), without its branches:
    on a CPU, torch.where takes ten times as long as a product.
    """
    hue, chroma, value = _hue_chroma_value(images)
    hue = hue + 6 * shift[:, None, None]
    hue -= 6 * (hue / 6).floor()
    # A channel is a trapezoid of the hue: at its peak for two sixths, at its floor for two.
    below_peak = (2 - (hue - 3).abs(), (hue - 2).abs() - 1, (hue - 4).abs() - 1)
    return torch.stack([value - chroma * each.clamp_(0, 1) for each in below_peak], dim=1)


def _each(factor: Tensor) -> Tensor:
    return factor[:, None, None, None]


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]


def _hue_chroma_value(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in sixths of a turn, chroma (value minus the least channel) and value: [N, H, W]."""
    red, green, blue = images.transpose(0, 1).contiguous()
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    # 1 where the channel is the greatest, else 0; of equal ones, the first.
    not_red = (value - red).sign()
    is_green = not_red * (1 - (value - green).sign())
    is_blue = not_red - is_green
    difference = (green - blue) * (1 - not_red) + (blue - red) * is_green + (red - green) * is_blue
    # Grey has no chroma and no difference: hue 0.
    hue = difference / chroma.clamp(min=1e-12) + 2 * is_green + 4 * is_blue
    return hue, chroma, value
