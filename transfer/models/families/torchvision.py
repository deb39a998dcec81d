"""Every classifier of torchvision."""

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from transfer.models.families.base import (
    Family,
    InputTransform,
    NamedModules,
    PublishedWeights,
    as_stage,
    group_into_stages,
    shrinks_map,
)
from transfer.system.torchvision import load_torchvision

# ResNet and its kin, GoogLeNet, Inception, RegNet, ShuffleNet; VGG, MobileNet, EfficientNet,
# DenseNet, ConvNeXt, SqueezeNet, MaxViT, AlexNet, MNASNet; ViT; Swin.
_HEADS = ("fc", "classifier", "heads", "head")

# Children that only hold what is run one after another.
_SEQUENCES = ("features", "layers", "blocks", "trunk_output")

_POSITIONS = "encoder.pos_embedding"

# The published DenseNets have names from before torch forbade dots in them: norm.1 is norm1 now.
_DENSENET_LAYER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)(?=\.)")

# Faster in bfloat16 than in float32 on a CPU with instructions for it, as measured on a core of an
# AMD EPYC (Zen 4), torch 2.13, training steps at 32 px, batch 64, medians of 3 turns
# (experiments/benchmark.py what=precision clock=cpu): vit_b_16 1.76 times as fast, swin_t 1.86,
# vgg11_bn 1.78, resnet50 1.59, resnext50_32x4d 1.54, convnext_tiny 1.49, resnet18 1.44,
# densenet121 1.40, googlenet 1.28, regnet_y_400mf 1.11, squeezenet1_1 1.04; with depthwise
# convolutions, shufflenet_v2_x1_0 0.63, mobilenet_v3_small 0.63, mobilenet_v3_large 0.60,
# mobilenet_v2 0.59, efficientnet_b0 0.58. What was not measured, or gains little, stays float32.
_DENSE = ("convnext", "densenet", "googlenet", "regnet", "resnet", "resnext", "swin", "vgg", "vit")


# With transform_input=True, images of ImageNet's mean and std become those of 0.5 and 0.5.
_TRANSFORM_INPUT = InputTransform(
    scale=(0.229 / 0.5, 0.224 / 0.5, 0.225 / 0.5),
    shift=((0.485 - 0.5) / 0.5, (0.456 - 0.5) / 0.5, (0.406 - 0.5) / 0.5),
)


class Torchvision(Family):
    """torchvision's classifiers, with the weights that it publishes for them."""

    # GoogLeNet's and Inception's second and third classifiers, which serve training from scratch.
    unused = ("aux1.", "aux2.", "AuxLogits.")

    def names(self) -> list[str]:
        models = load_torchvision().models
        names: list[str] = models.list_models(module=models)
        return names

    def build(self, name: str, num_classes: int, image_size: int) -> nn.Module:
        options: dict[str, object] = {"weights": None}
        if name.startswith("vit_"):
            options["image_size"] = image_size
        elif name == "maxvit_t":
            options["input_size"] = (image_size, image_size)
        elif self.input_transform(name):
            # transform_input is what torchvision sets with its weights: they expect the inputs that
            # it turns ImageNet's into. Before BatchNorm, a scale and a shift harm no others.
            options |= {"aux_logits": False, "init_weights": True, "transform_input": True}
        with _ValuesOnCpu() if name.startswith("regnet_") else nullcontext():
            model: nn.Module = load_torchvision().models.get_model(name, **options)
        if name.startswith("mnasnet"):
            newest = MethodType(_load_newest_names, model)
            model._load_from_state_dict = newest  # type: ignore[method-assign]
        self.replace_last_layer(model, num_classes)
        return model

    def includes(self, model: nn.Module) -> bool:
        return type(model).__module__.startswith("torchvision.models.")

    def head(self, model: nn.Module) -> str:
        return next(name for name in _HEADS if isinstance(getattr(model, name, None), nn.Module))

    def stages(self, model: nn.Module) -> NamedModules:
        if isinstance(model, load_torchvision().models.VisionTransformer):
            return _vit_stages(model)
        return group_into_stages(self._layers(model), _begins_stage)

    def _layers(self, model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
        """The backbone's children, in the order in which each model runs them."""
        head = self.head(model)
        for name, child in model.named_children():
            if name in _SEQUENCES:
                yield from ((f"{name}.{part}", layer) for part, layer in child.named_children())
            elif name != head:
                yield name, child

    def published(self, name: str) -> tuple[PublishedWeights, ...]:
        try:
            entries = load_torchvision().models.get_model_weights(name)
        except ValueError:
            return ()
        others = (entry for entry in entries if entry is not entries.DEFAULT)
        return tuple(_published(entry) for entry in (entries.DEFAULT, *others))

    def tensor_name(self, published: str) -> str:
        return _DENSENET_LAYER.sub(r"\1\2", published)

    def adapt(self, model: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """ViT's position embedding, interpolated as torchvision does."""
        transformer = load_torchvision().models.vision_transformer
        if not isinstance(model, transformer.VisionTransformer) or _POSITIONS not in state:
            return state
        size, patch = model.image_size, model.patch_size
        with suppress(ValueError):
            return transformer.interpolate_embeddings(size, patch, OrderedDict(state))
        return state

    def input_transform(self, name: str) -> InputTransform | None:
        return _TRANSFORM_INPUT if name in ("googlenet", "inception_v3") else None

    def is_dense(self, name: str) -> bool:
        return name.startswith(_DENSE)


def _begins_stage(layer: nn.Module) -> bool:
    # Swin brings four pixels together with slices and a linear layer.
    return shrinks_map(layer) or type(layer).__name__.startswith("PatchMerging")


def _vit_stages(model: Any) -> NamedModules:
    """The embedding, then every layer of the encoder; its last LayerNorm is with the last layer."""
    tokens = nn.ParameterList([model.class_token, model.encoder.pos_embedding])
    layers = [
        (f"encoder.layers.{name}", each) for name, each in model.encoder.layers.named_children()
    ]
    return [
        as_stage([("conv_proj", model.conv_proj), ("tokens", tokens)]),
        *layers[:-1],
        as_stage([layers[-1], ("encoder.ln", model.encoder.ln)]),
    ]


def _published(entry: Any) -> PublishedWeights:
    images = entry.transforms()
    (resize,), (crop,) = images.resize_size, images.crop_size
    percent = entry.meta["_metrics"].get("ImageNet-1K", {}).get("acc@1", math.nan)
    return PublishedWeights(
        entry=entry.name,
        url=entry.url,
        mean=tuple(images.mean),
        std=tuple(images.std),
        resize=resize,
        crop=crop,
        interpolation=images.interpolation.value,
        imagenet_accuracy=None if math.isnan(percent) else percent / 100,
    )


def _load_newest_names(
    model: nn.Module, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any], *rest: Any
) -> None:
    """MNASNet refuses tensors that do not say how old their names are, as only torch's own
    state dicts do; all others are under the names of today."""
    metadata = {"version": type(model)._version, **metadata}
    type(model)._load_from_state_dict(model, state_dict, prefix, metadata, *rest)


class _ValuesOnCpu(TorchFunctionMode):
    """Lets RegNet, which computes its widths with tensors, be built on the meta device too."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is torch.arange or (func is torch.tensor and isinstance(args[0], list)):
            return func(*args, **{"device": "cpu", **(kwargs or {})})
        return func(*args, **(kwargs or {}))
