"""Random resized crops: a part of each image, at another size and ratio of edges.

Source: Szegedy et al. 2015, "Going Deeper with Convolutions", section 6,
https://arxiv.org/abs/1409.4842, as torchvision's ``RandomResizedCrop``.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from transfer.system.device import send

_RATIO = (3 / 4, 4 / 3)  # of width to height
_TRIES = 10


def stored_size(image_size: int, least_area: float) -> int:
    """Pixels of the edge at which pictures are kept: those that parts are taken of are larger than
    what the network reads, as ImageNet's customary 256 are for 224.

    Most parts are enlarged even so: of parts of 0.35 of the area or more, nine in ten along an
    edge, 0.89 kept pixels for one that the network reads; at 1.5 times the size three in ten, for
    1.7 times the memory. That was not more accurate where it was measured (docs/images.md).
    """
    return image_size if least_area == 1 else round(image_size * 8 / 7)


def random_boxes(
    count: int, height: int, width: int, least_area: float, generator: torch.Generator
) -> Tensor:
    """Draw parts of images of `height` times `width` pixels, as torchvision's
    ``RandomResizedCrop(scale=(least_area, 1))`` does.

    Args:
        least_area: of the part, as a share of the image; above 0 and at most 1.
        generator: CPU generator.

    Returns:
        int64 [count, 4], of each its top, left, height and width.
    """
    shape = (count, _TRIES)
    area = torch.rand(shape, generator=generator) * (1 - least_area) + least_area
    low, high = map(math.log, _RATIO)
    ratio = (torch.rand(shape, generator=generator) * (high - low) + low).exp()
    widths = (area * ratio * height * width).sqrt().round().long()
    heights = (area / ratio * height * width).sqrt().round().long()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.int().argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    # Where none fits: all of the image, but for what makes it too wide or too high.
    whole = (min(height, round(width / _RATIO[0])), min(width, round(height * _RATIO[1])))
    heights = torch.where(found, heights.gather(1, first).squeeze(1), whole[0])
    widths = torch.where(found, widths.gather(1, first).squeeze(1), whole[1])
    places = torch.rand((2, count), generator=generator, dtype=torch.float64)
    room = torch.stack([height - heights, width - widths])
    drawn = (places * (room + 1)).long()
    top, left = torch.where(found, drawn, room // 2)
    return torch.stack([top, left, heights, widths], dim=1)


def resized_crop(
    images: Tensor, boxes: Tensor, image_size: int, interpolation: str = "bilinear"
) -> Tensor:
    """Cut ``boxes[n]`` out of image n of float [N, C, H, W], and resize it to a square.

    As ``torch.nn.functional.interpolate(…, antialias=True)`` of each part alone, which is a product
    with a matrix from the left for the rows and one from the right for the columns: one product of
    many matrices does a whole batch.

    Args:
        boxes: int64 [N, 4], as `random_boxes` draws them.
        image_size: pixels of the square's edge.
        interpolation: "bilinear" or "bicubic"; this one overshoots at edges.

    Returns:
        float [N, C, image_size, image_size].
    """
    count, channels, height, width = images.shape
    # Made where they are used: the matrices are larger than the boxes.
    top, left, heights, widths = send(boxes, images.device).T
    rows = _resize_matrices(top, heights, height, image_size, interpolation)
    columns = _resize_matrices(left, widths, width, image_size, interpolation)
    narrow = torch.bmm(images.reshape(count, -1, width), columns.mT)
    rows = rows.repeat_interleave(channels, dim=0)
    return torch.bmm(rows, narrow.view(len(rows), height, -1)).unflatten(0, (count, channels))


def _resize_matrices(
    start: Tensor, length: Tensor, before: int, after: int, interpolation: str
) -> Tensor:
    """What each pixel of the result takes of each pixel of an edge: float32 [N, after, before].

    Args:
        start, length: int64 [N], the part of each edge that is kept.
        before, after: pixels.
    """
    kernel, reach = _KERNELS[interpolation]
    scale = (length / after)[:, None]
    # A pixel that stands for several takes from all of them.
    width = scale.clamp(min=1)
    centre = (torch.arange(after, device=start.device) + 0.5) * scale
    # Counted from the part's edge, and as torch counts: from the first whole pixel within reach.
    place = torch.arange(before, device=start.device) - start[:, None, None]
    first = (centre - reach * width + 0.5).floor().clamp(min=0)[..., None]
    end = (centre + reach * width + 0.5).floor().minimum(length[:, None])[..., None]
    weight = kernel((place + 0.5 - centre[..., None]) / width[..., None])
    weight = weight * ((place >= first) & (place < end))
    return weight / weight.sum(dim=2, keepdim=True)


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance.abs()).clamp(min=0)


def _cubic(distance: Tensor) -> Tensor:
    """Keys 1981, "Cubic convolution interpolation for digital image processing", equation 15."""
    near, far = distance.abs(), distance.abs()
    inner = (1.5 * near - 2.5) * near**2 + 1
    outer = ((-0.5 * far + 2.5) * far - 4) * far + 2
    return torch.where(near < 1, inner, torch.where(far < 2, outer, 0.0))


# With how many pixels to either side each reaches, where nothing shrinks.
_KERNELS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "bilinear": (_triangle, 1),
    "bicubic": (_cubic, 2),
}
