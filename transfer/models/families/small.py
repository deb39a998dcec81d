"""Small CNNs that no one pretrained: the yardstick, and the first of all."""

from torch import Tensor, nn

from transfer.models.families.base import Family, NamedModules, group_into_stages


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


class LeNet(nn.Module):
    """LeNet-5 of LeCun et al. 1998, "Gradient-based learning applied to document recognition",
    section II.B, for three channels, every map of its second convolution seeing every map before
    it, a linear output layer, and pooling where images have more than its 32 x 32 pixels.

    Reads [N, 3, H, W] with H and W of at least 32; gives logits [N, num_classes].
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, kernel_size=5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5), nn.Tanh(), nn.AvgPool2d(2),
            nn.Conv2d(16, 120, kernel_size=5), nn.Tanh(),
        )  # fmt: skip
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.pool(self.features(images)).flatten(1))


class SmallCNNs(Family):
    """The plain CNN and LeNet."""

    def names(self) -> list[str]:
        return ["lenet", "simple_cnn"]

    def build(self, name: str, num_classes: int, image_size: int) -> nn.Module:
        return LeNet(num_classes) if name == "lenet" else SimpleCNN(num_classes)

    def includes(self, model: nn.Module) -> bool:
        return isinstance(model, SimpleCNN | LeNet)

    def head(self, model: nn.Module) -> str:
        return "classifier" if isinstance(model, LeNet) else "fc"

    def stages(self, model: nn.Module) -> NamedModules:
        layers = model.get_submodule("features").named_children()
        return group_into_stages((f"features.{name}", layer) for name, layer in layers)

    def is_dense(self, name: str) -> bool:
        # Measured as torchvision's models were: 1.52 times as fast. LeNet was not measured.
        return name == "simple_cnn"
