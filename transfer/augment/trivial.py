"""TrivialAugment: one of fourteen changes to each image, drawn with its strength.

Source: Müller and Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data
Augmentation", https://arxiv.org/abs/2103.10158, the wide set of its table 1, as torchvision's
``TrivialAugmentWide``. Images are handled by what is done to them: the changes that move pixels in
one operation, those of colour in a few, each on the images that drew it and no others.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.augment.color import BRIGHTNESS, CONTRAST, SATURATION, blend
from transfer.system.device import send

IDENTITY, SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y, ROTATE, BRIGHTER = range(7)
COLOR, CONTRASTED, SHARPNESS, POSTERIZE, SOLARIZE, AUTO_CONTRAST, EQUALIZE = range(7, 14)
_MOVING = (SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y, ROTATE)
_BLENDING = {BRIGHTER: BRIGHTNESS, COLOR: SATURATION, CONTRASTED: CONTRAST}
_SIGNED = (*_MOVING, *_BLENDING, SHARPNESS)
_BINS = 31
# What the strongest of the bins does: pixels, whatever the image's size, degrees, or a factor.
_STRONGEST = {SHEAR_X: 0.99, SHEAR_Y: 0.99, TRANSLATE_X: 32.0, TRANSLATE_Y: 32.0, ROTATE: 135.0}
_STRONGEST |= dict.fromkeys((*_BLENDING, SHARPNESS), 0.99)


def random_changes(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw what is done to each image, and how far it goes, as `trivial_augment` takes them.

    Args:
        generator: CPU generator; three integers an image are drawn.
    """
    operations = torch.randint(14, (count,), generator=generator)
    strengths = torch.randint(_BINS, (count,), generator=generator)
    signs = torch.randint(2, (count,), generator=generator) * 2 - 1
    return operations, magnitudes(operations, strengths, signs)


def magnitudes(operations: Tensor, strengths: Tensor, signs: Tensor) -> Tensor:
    """How far each operation goes: a slope, pixels, degrees, a factor less one, bits that are kept,
    or the level from which on colours are inverted, 0 to 255.

    Args:
        operations, strengths, signs: int64 [N]: which; 0 to 30; -1 or 1, where the operation has
            two directions.
    """
    table = torch.stack([torch.linspace(0, _STRONGEST.get(each, 0), _BINS) for each in range(14)])
    # Whole pixels.
    table[[TRANSLATE_X, TRANSLATE_Y]] = table[[TRANSLATE_X, TRANSLATE_Y]].trunc()
    table[POSTERIZE] = 8 - (torch.arange(_BINS) / 5).round()
    table[SOLARIZE] = torch.linspace(255, 0, _BINS)
    signed = torch.isin(operations, torch.tensor(_SIGNED))
    return table[operations, strengths] * torch.where(signed, signs, 1)


def trivial_augment(images: Tensor, operations: Tensor, magnitude: Tensor) -> Tensor:
    """Do ``operations[n]`` to image n of float [N, 3, H, W], 0 to 1; a new tensor.

    Args:
        operations, magnitude: int64 and float [N], on the CPU, as of `magnitudes`.
    """
    images = images.clone()
    groups = [
        (_MOVING, _move),
        (tuple(_BLENDING), _blend),
        ((SHARPNESS,), _sharpen),
        ((POSTERIZE,), _posterize),
        ((SOLARIZE,), _solarize),
        ((AUTO_CONTRAST,), _stretch),
        ((EQUALIZE,), _equalize),
    ]
    for members, change in groups:
        chosen = torch.isin(operations, torch.tensor(members)).nonzero().flatten()
        if len(chosen):
            rows = send(chosen, images.device)
            changed = change(images[rows], operations[chosen], magnitude[chosen])
            images.index_copy_(0, rows, changed)
    return images


def _move(images: Tensor, operations: Tensor, magnitude: Tensor) -> Tensor:
    """Shear about the upper left corner, shift, or rotate about the centre, to the nearest pixel;
    what comes into view is black."""
    height, width = images.shape[-2:]

    def amount(operation: int) -> Tensor:
        return torch.where(operations == operation, magnitude, 0.0)

    # Where each pixel comes from, in pixels from the centre.
    radians = amount(ROTATE).deg2rad()
    slope_x, slope_y = amount(SHEAR_X), amount(SHEAR_Y)
    from_x = [radians.cos(), slope_x - radians.sin(), slope_x * height / 2 - amount(TRANSLATE_X)]
    from_y = [slope_y + radians.sin(), radians.cos(), slope_y * width / 2 - amount(TRANSLATE_Y)]
    matrices = torch.stack([torch.stack(from_x, dim=1), torch.stack(from_y, dim=1)], dim=1)
    across = torch.arange(width) - (width - 1) / 2
    down = torch.arange(height) - (height - 1) / 2
    places = torch.stack(
        [across.expand(height, -1), down[:, None].expand(-1, width), torch.ones(height, width)],
        dim=2,
    )
    places = _beside(places, images)
    # As grid_sample counts: in half edges.
    edges = torch.tensor([width, height]) / 2
    matrices = _beside(matrices / edges[:, None], images)
    grid = (places.flatten(0, 1) @ matrices.mT).unflatten(1, (height, width))
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)


def _blend(images: Tensor, operations: Tensor, magnitude: Tensor) -> Tensor:
    steps = torch.tensor([_BLENDING.get(each, 0) for each in range(14)])[operations]
    return blend(images, send(steps, images.device), send(1 + magnitude, images.device))


def _sharpen(images: Tensor, _: Tensor, magnitude: Tensor) -> Tensor:
    """Away from, or towards, means over three by three pixels; the outermost stay as they are."""
    if min(images.shape[-2:]) <= 2:
        return images
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1] = 5
    means = F.conv2d(images.flatten(0, 1)[:, None], kernel[None, None] / kernel.sum())
    blurred = images.clone()
    blurred[..., 1:-1, 1:-1] = means.view(*images.shape[:2], *means.shape[-2:])
    return blurred.lerp(images, _each(1 + magnitude, images)).clamp_(0, 1)


def _posterize(images: Tensor, _: Tensor, bits: Tensor) -> Tensor:
    step = _each(2 ** (8 - bits), images)
    return (_levels(images) / step).floor() * step / 255


def _solarize(images: Tensor, _: Tensor, threshold: Tensor) -> Tensor:
    bright = _levels(images) >= _each(threshold, images)
    return torch.where(bright, 1 - images, images)


def _stretch(images: Tensor, _: Tensor, __: Tensor) -> Tensor:
    """Each channel's darkest level to black and its brightest to white; one level stays as it
    is."""
    least = images.amin(dim=(2, 3), keepdim=True)
    extent = images.amax(dim=(2, 3), keepdim=True) - least
    flat = extent == 0
    return torch.where(flat, images, (images - least) / extent.masked_fill(flat, 1))


def _equalize(images: Tensor, _: Tensor, __: Tensor) -> Tensor:
    """Each channel's levels moved so that all are about equally frequent."""
    levels = _levels(images).long().flatten(0, 1).flatten(1)
    counts = torch.zeros(len(levels), 256, dtype=torch.long, device=levels.device)
    counts.scatter_add_(1, levels, torch.ones_like(levels))
    brightest = counts.gather(1, levels.amax(dim=1, keepdim=True))
    step = (levels.shape[1] - brightest) // 255
    below = counts.cumsum(dim=1) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp(0, 255)
    # Of too few pixels, or one level alone, nothing is moved.
    table = torch.where(step == 0, torch.arange(256, device=levels.device), table)
    return (table.gather(1, levels) / 255).view(images.shape)


def _levels(images: Tensor) -> Tensor:
    """0 to 255, in whole numbers."""
    return (images * 255).round()


def _each(amounts: Tensor, images: Tensor) -> Tensor:
    return _beside(amounts, images)[:, None, None, None]


def _beside(numbers: Tensor, images: Tensor) -> Tensor:
    """As numbers of the images' type, where the images are."""
    return send(numbers.to(images.dtype), images.device)
