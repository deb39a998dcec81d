"""Convolutions over small maps, as matmuls.

A classifier that was made for 224 px ends at 32 px on maps of 2x2 pixels and of one. Most taps of
a kernel meet nothing but padding there, and a convolution multiplies the padding all the same: on a
CPU, those layers take half of a ResNet18's training step and two thirds of a MobileNetV3-small's.
Here a tap is multiplied only where it meets a pixel. A kernel of one pixel meets no padding, but on
small maps a matmul is faster there too. The sums are the same, in another order.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEAST_BATCH = 32
_LARGEST_POINTWISE_MAP = 16  # pixels


def use_matmul_convs(model: nn.Module, use: bool = True) -> None:
    """Let every convolution of `model` compute small maps this way, or no longer."""
    for module in model.modules():
        if type(module) in (nn.Conv2d, SmallMapConv2d):
            # The same module with another forward: names, hooks and state dict are untouched.
            module.__class__ = SmallMapConv2d if use else nn.Conv2d


class SmallMapConv2d(nn.Conv2d):
    """A convolution that is a matmul where its input has fewer pixels than its kernel, or
    few pixels and a kernel of one."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        height, width = input.shape[-2:]
        if self._is_pointwise() and height * width <= _LARGEST_POINTWISE_MAP:
            return _pointwise(input, weight, bias)
        small = height * width < weight[0, 0].numel()
        if not (small and self._can_multiply() and self._pays(input)):
            return super()._conv_forward(input, weight, bias)
        pairs, size = _pairs(
            (height, width), self.kernel_size, self.stride, self.padding, self.dilation
        )
        product = _dense if self.groups == 1 else _depthwise
        # Channels last, so that a pixel's channels lie together and nothing is copied.
        pixels = input.permute(0, 2, 3, 1).flatten(1, 2)
        output = product(pixels, weight, pairs.to(input.device))
        if bias is not None:
            output = output + bias
        return output.unflatten(1, size).permute(0, 3, 1, 2)

    def _is_pointwise(self) -> bool:
        settings = (self.kernel_size, self.stride, self.padding, self.groups)
        return settings == ((1, 1), (1, 1), (0, 0), 1)

    def _can_multiply(self) -> bool:
        depthwise = self.groups == self.in_channels == self.out_channels
        zeros = self.padding_mode == "zeros" and not isinstance(self.padding, str)
        return zeros and (self.groups == 1 or depthwise)

    def _pays(self, input: Tensor) -> bool:
        """Whether it is faster, as measured: what a depthwise layer wins, it wins backwards, and
        a matrix must be built from the kernels for each batch."""
        if self.groups == 1:
            return len(input) >= _LEAST_BATCH
        return torch.is_grad_enabled() and self.weight.requires_grad


def _pointwise(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """[N, C, H, W] and kernels [O, C, 1, 1] to [N, O, H, W]."""
    rows = input.permute(0, 2, 3, 1)
    # One product of two matrices. Given four dimensions, torch may multiply image by image, with a
    # copy of the weights for each.
    product = F.linear(rows.flatten(0, 2), weight.flatten(1), bias)
    return product.unflatten(0, rows.shape[:3]).permute(0, 3, 1, 2)


def _dense(pixels: Tensor, weight: Tensor, pairs: Tensor) -> Tensor:
    """[N, P, C] and kernels [O, C, kh, kw] to [N, Q, O]."""
    out_channels, in_channels = weight.shape[:2]
    outputs, inputs = pairs.shape
    matrix = _taps(weight, pairs).view(outputs, inputs, out_channels, in_channels)
    matrix = matrix.transpose(1, 2)
    product = F.linear(
        pixels.flatten(1), matrix.reshape(outputs * out_channels, inputs * in_channels)
    )
    return product.unflatten(1, (outputs, out_channels))


def _depthwise(pixels: Tensor, weight: Tensor, pairs: Tensor) -> Tensor:
    """[N, P, C] and kernels [C, 1, kh, kw] to [N, Q, C]."""
    outputs, inputs = pairs.shape
    taps = _taps(weight, pairs).view(outputs, inputs, -1)
    return (pixels.unsqueeze(1) * taps).sum(dim=2)


def _taps(weight: Tensor, pairs: Tensor) -> Tensor:
    """The tap of each pair out of kernels [O, C, kh, kw]: [Q * P, O, C], zeros where none is."""
    taps = weight.permute(2, 3, 0, 1).flatten(0, 1)
    if int(pairs.max()) == len(taps):
        taps = F.pad(taps, (0, 0, 0, 0, 0, 1))
    return taps.index_select(0, pairs.flatten())


@cache
def _pairs(
    size: tuple[int, int],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Tensor, tuple[int, int]]:
    """Which tap connects which pixels: int64 [outputs, inputs], kh * kw where none does.

    Returns:
        That, and the height and width of the output.
    """
    # Kept for trainings that follow: a tensor made in inference mode could not be used in them.
    with torch.inference_mode(False):
        rows, columns = (
            _pairs_of_axis(size[i], kernel[i], stride[i], padding[i], dilation[i]) for i in (0, 1)
        )
        row, column = rows[:, None, :, None], columns[None, :, None, :]
        missing = (row < 0) | (column < 0)
        taps = torch.where(missing, kernel[0] * kernel[1], row * kernel[1] + column)
        return taps.flatten(2).flatten(0, 1), (len(rows), len(columns))


def _pairs_of_axis(size: int, kernel: int, stride: int, padding: int, dilation: int) -> Tensor:
    """Along one axis: int64 [outputs, inputs], -1 where no tap connects them."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    offset = torch.arange(size) + padding - stride * torch.arange(outputs)[:, None]
    tap = offset.div(dilation, rounding_mode="floor")
    meets = (offset >= 0) & (offset % dilation == 0) & (tap < kernel)
    return torch.where(meets, tap, -1)
