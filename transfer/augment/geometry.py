"""Random crop, mirror image and rotation, drawn anew for each image of a batch.

Each is equal in distribution to torchvision's transform of one image, and does a whole batch
in a few indexing operations. Random numbers come from a CPU generator, so that a run draws
the same ones on every device.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


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
    rows, columns = offsets.to(images.device)
    padded = F.pad(images, (padding,) * 4)
    row_index = rows[:, None] + torch.arange(height, device=images.device)
    column_index = columns[:, None] + torch.arange(width, device=images.device)
    batch_index = torch.arange(count, device=images.device)
    # Indexing a channels-last view copies whole pixels.
    pixels = padded.permute(0, 2, 3, 1)[
        batch_index[:, None, None], row_index[:, :, None], column_index[:, None, :]
    ]
    # What follows on a CPU is faster on whole channels.
    return pixels.permute(0, 3, 1, 2).contiguous()


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half; [N, C, H, W] to the same."""
    chosen = torch.rand(len(images), generator=generator).to(images.device) < 0.5
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
    return rotate(images, angles.to(images.device))


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Rotate image n of [N, C, H, W] counter-clockwise by ``degrees[n]``, to the nearest pixel."""
    _, _, height, width = images.shape
    radians = degrees * (math.pi / 180)
    cosine, sine = radians.cos(), radians.sin()
    zero = torch.zeros_like(cosine)
    # affine_grid works in units of half an edge: a rotation in pixels of an image that is
    # not square needs the ratio of the edges.
    ratio = height / width
    matrix = torch.stack(
        [
            torch.stack([cosine, -sine * ratio, zero], dim=1),
            torch.stack([sine / ratio, cosine, zero], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)
