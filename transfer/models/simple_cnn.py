"""The yardstick: a plain CNN that no one pretrained."""

from __future__ import annotations

from torch import Tensor, nn


class SimpleCNN(nn.Module):
    """Four blocks of convolution, BatchNorm, ReLU and 2x2 pooling; then pooling and a linear head.

    Reads [N, 3, H, W] with H and W of at least 16; gives logits [N, num_classes].
    """

    def __init__(self, num_classes: int, widths: tuple[int, ...] = (32, 64, 128, 256)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in widths:
            layers += [
                nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            ]
            channels = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.pool(self.features(images)).flatten(1))
