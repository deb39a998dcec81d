"""Mixtures of two images with the shares of their classes: mixup and CutMix, drawn for each image.

Sources: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization",
https://arxiv.org/abs/1710.09412, equation 1; Yun et al. 2019, "CutMix", section 3.1 and algorithm
A1, https://arxiv.org/abs/1905.04899. An image is mixed as torchvision's ``MixUp`` and ``CutMix`` of
``transforms.v2`` mix a batch, but each has a share and a box of its own, which makes a step less of
a gamble.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.config.schema import AugmentConfig
from transfer.system.device import send


def random_mixtures(
    count: int, height: int, width: int, config: AugmentConfig, generator: torch.Generator
) -> dict[str, Tensor]:
    """Draw how much of each image is left, and where.

    Args:
        height, width: pixels of the images.
        config: `mixup` and `cutmix`, each the alpha of a distribution Beta(alpha, alpha) of shares;
            0 is off. Where both are on, each image takes one of them at random. An image is mixed
            with `mix_probability`.
        generator: CPU generator.

    Returns:
        what `mix` takes; nothing where nothing is on.
    """
    if not (config.mixup or config.cutmix):
        return {}
    cut = torch.full((count,), bool(config.cutmix))
    if config.mixup and config.cutmix:
        cut = torch.rand(count, generator=generator) < 0.5
    alpha = torch.where(cut, config.cutmix, config.mixup)
    kept = random_beta(alpha, generator)
    mixed = torch.rand(count, generator=generator) < config.mix_probability
    kept = torch.where(mixed, kept, 1)
    # mixup is a veil over the whole image; CutMix is a box in which nothing is left of it.
    rows = _strip(height, kept, generator) | ~cut[:, None]
    columns = _strip(width, kept, generator) | ~cut[:, None]
    veil = torch.where(cut, 1, 1 - kept).float()
    share = veil * rows.float().mean(dim=1) * columns.float().mean(dim=1)
    return {"veil": veil, "rows": rows, "columns": columns, "share": share}


def mix(
    images: Tensor, labels: Tensor, classes: int, mixtures: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Mix each image with the one before it in the batch.

    Args:
        images: float [N, C, H, W], normalised or not, in random order.
        labels: int64 [N], below `classes`.
        mixtures: of `random_mixtures`; it may hold more.

    Returns:
        The images and float [N, classes] shares of the classes, which sum to 1; or both as they
        were given where nothing was drawn.
    """
    if "veil" not in mixtures:
        return images, labels
    veil, rows, columns, share = (
        send(mixtures[name], images.device) for name in ("veil", "rows", "columns", "share")
    )
    weight = veil[:, None, None] * rows[:, :, None] * columns[:, None, :]
    targets = F.one_hot(labels, classes).float()
    return (
        images.lerp(images.roll(1, 0), weight[:, None].to(images.dtype)),
        targets.lerp(targets.roll(1, 0), share[:, None]),
    )


def random_beta(alpha: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha), for each of float [N]: float64 [N], 0 to 1.

    torch's own Beta draws from the global generator alone. A gamma variate over the sum of two
    (Devroye 1986, Non-Uniform Random Variate Generation, page 432).
    """
    one, other = torch._standard_gamma(alpha.double().expand(2, -1), generator=generator)
    return one / (one + other)


def _strip(length: int, kept: Tensor, generator: torch.Generator) -> Tensor:
    """Which rows or columns are within each image's box: bool [N, length].

    The box is about a point of the image, has `1 - kept` of its area, and ends at its edges.
    """
    centre = torch.randint(length, kept.shape, generator=generator)
    half = (0.5 * (1 - kept).sqrt() * length).long()
    place = torch.arange(length)
    return (place >= (centre - half)[:, None]) & (place < (centre + half)[:, None])
