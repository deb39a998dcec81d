"""Random crop, mirror image and rotation, drawn anew for each image of a batch.

Each is equal in distribution to torchvision's transform of one image, and does a whole batch
in a few indexing operations. Random numbers come from a CPU generator, so that a run draws
the same ones on every device, and are drawn beforehand: what is done with them is then the same
list of operations for each batch.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.system.device import send


def random_offsets(count: int, padding: int, generator: torch.Generator) -> Tensor:
    """By how much each image is shifted down and to the right, padding counted: int64 [2, count],
    0 to ``2 * padding``."""
    return torch.randint(0, 2 * padding + 1, (2, count), generator=generator)


def crop(images: Tensor, padding: int, offsets: Tensor) -> Tensor:
    """Shift each image by up to `padding` pixels each way; what comes into view is black.

    As torchvision's ``RandomCrop(size, padding=padding)``.

    Args:
        images: [N, C, H, W].
        padding: pixels, at least 0.
        offsets: of `random_offsets`.

    Returns:
        [N, C, H, W], a new tensor.
    """
    count, _, height, width = images.shape
    rows, columns = send(offsets, images.device)
    padded = F.pad(images, (padding,) * 4)
    # A view of every window there is: [N, C, rows, columns, H, W]. Picking one copies whole rows.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(count, device=images.device), :, rows, columns]


def random_flips(count: int, generator: torch.Generator) -> Tensor:
    """Which images are mirrored, each with probability one half: bool [count]."""
    return torch.rand(count, generator=generator) < 0.5


def flip(images: Tensor, chosen: Tensor) -> Tensor:
    """Mirror those of [N, C, H, W] left to right that bool [N] has chosen."""
    return torch.where(send(chosen, images.device)[:, None, None, None], images.flip(3), images)


def random_angles(count: int, degrees: float, generator: torch.Generator) -> Tensor:
    """By how much each image is rotated: float [count], up to `degrees` (0 to 180) either way."""
    return (torch.rand(count, generator=generator) * 2 - 1) * degrees


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Rotate image n of float [N, C, H, W] about its centre, counter-clockwise by ``degrees[n]``.

    As torchvision's ``RandomRotation``: to the nearest pixel, with black corners.
    """
    _, _, height, width = images.shape
    radians = send(degrees, images.device) * (math.pi / 180)
    cosine, sine = radians.cos()[:, None, None], radians.sin()[:, None, None]
    # Where each pixel comes from, counted from the centre in half edges, as grid_sample counts: a
    # rotation in pixels of an image that is not square needs the ratio of the edges.
    ratio = height / width
    across, down = (_half_edges(length, images.device) for length in (width, height))
    down = down[:, None]
    grid = torch.stack(
        [cosine * across - ratio * sine * down, sine / ratio * across + cosine * down], dim=3
    )
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)


def _half_edges(length: int, device: torch.device) -> Tensor:
    """The centres of `length` pixels on a scale from edge to edge of -1 to 1."""
    return (2 * torch.arange(length, device=device) + 1 - length) / length
