"""Random crop, mirror image and rotation, drawn anew for each image of a batch.

Each is equal in distribution to torchvision's transform of one image, and does a whole batch
in a few indexing operations. Random numbers come from a CPU generator, so that a run draws
the same ones on every device.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.system.device import send


def random_crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Shift each image by up to `padding` pixels each way; what comes into view is black.

    As torchvision's ``RandomCrop(size, padding=padding)``.

    Args:
        images: [N, C, H, W].
        padding: pixels, at least 0.
        generator: CPU generator; two integers an image are drawn.

    Returns:
        [N, C, H, W], a new tensor.
    """
    count, _, height, width = images.shape
    offsets = torch.randint(0, 2 * padding + 1, (2, count), generator=generator)
    rows, columns = send(offsets, images.device)
    padded = F.pad(images, (padding,) * 4)
    # A view of every window there is: [N, C, rows, columns, H, W]. Picking one copies whole rows.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(count, device=images.device), :, rows, columns]


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half; [N, C, H, W] to the same."""
    chosen = send(torch.rand(len(images), generator=generator), images.device) < 0.5
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def random_rotation(images: Tensor, degrees: float, generator: torch.Generator) -> Tensor:
    """Rotate each image about its centre by up to `degrees` either way.

    As torchvision's ``RandomRotation(degrees)``: nearest pixel, black corners.

    Args:
        images: float [N, C, H, W].
        degrees: 0 to 180.
        generator: CPU generator; one number an image is drawn.

    Returns:
        [N, C, H, W], a new tensor.
    """
    angles = (torch.rand(len(images), generator=generator) * 2 - 1) * degrees
    return rotate(images, send(angles, images.device))


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Rotate image n of [N, C, H, W] counter-clockwise by ``degrees[n]``, to the nearest pixel."""
    _, _, height, width = images.shape
    radians = degrees * (math.pi / 180)
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
