"""Any torchvision classifier by name, with a new head and weights from a source."""

from __future__ import annotations

import torch
from torch import nn

from transfer.models.frozen import FrozenBackbone, HeadAlone, features_of
from transfer.models.head import (
    backbone_modules,
    backbone_parameters,
    backbone_state,
    head_name,
    head_of,
    head_parameters,
    replace_last_layer,
)
from transfer.models.matmul_convs import use_matmul_convs
from transfer.models.simple_cnn import SimpleCNN
from transfer.models.weights import TrainedOn, Weights, WeightsMatch, load_into, match_weights
from transfer.models.weights_file import read_weights_file
from transfer.models.weights_source import read_weights
from transfer.system.errors import ConfigError, first_line
from transfer.system.torchvision import load_torchvision

__all__ = [
    "FrozenBackbone",
    "HeadAlone",
    "TrainedOn",
    "Weights",
    "WeightsMatch",
    "backbone_modules",
    "backbone_parameters",
    "backbone_state",
    "build_model",
    "features_of",
    "head_name",
    "head_of",
    "head_parameters",
    "load_into",
    "match_weights",
    "meta_model",
    "read_weights",
    "read_weights_file",
    "replace_last_layer",
    "use_matmul_convs",
]


def build_model(name: str, num_classes: int, image_size: int) -> nn.Module:
    """A classifier with random weights and a last layer for `num_classes`.

    Args:
        name: "simple_cnn", or a classifier of torchvision.
        num_classes: at least 2.
        image_size: pixels; only Vision Transformers are built for one size.

    Raises:
        ConfigError: there is no such model, or it cannot be built for this size.
    """
    if name == "simple_cnn":
        return SimpleCNN(num_classes)
    published = load_torchvision().models
    choices = published.list_models(module=published)
    if name not in choices:
        close = [choice for choice in choices if choice.split("_")[0][:5] == name[:5]] or choices
        problem = f"torchvision has no such classifier; choose from {', '.join(close)}"
        raise ConfigError("model.name", name, problem)
    options: dict[str, object] = {"weights": None}
    if name.startswith("vit_"):
        options["image_size"] = image_size
    elif name == "maxvit_t":
        options["input_size"] = (image_size, image_size)
    elif name in ("googlenet", "inception_v3"):
        # Their auxiliary classifiers serve training from scratch on ImageNet only.
        options |= {"aux_logits": False, "init_weights": True}
    try:
        model: nn.Module = published.get_model(name, **options)
    except NotImplementedError:
        raise
    except (AssertionError, RuntimeError, ValueError) as error:
        problem = f"{name} cannot be built for this size ({first_line(error)})"
        raise ConfigError("image_size", image_size, problem) from error
    replace_last_layer(model, num_classes)
    return model


def meta_model(name: str, image_size: int) -> nn.Module:
    """The model on the meta device, with two classes: shapes without numbers, so without cost.

    Raises:
        ConfigError: there is no such model, or it cannot read images of this size.
    """
    try:
        with torch.device("meta"):
            model = build_model(name, 2, image_size)
    except NotImplementedError:
        # RegNet computes its widths with tensors, which have no values there.
        model = build_model(name, 2, image_size).to("meta")
    try:
        model.eval()(torch.zeros(1, 3, image_size, image_size, device="meta"))
    except RuntimeError as error:
        problem = f"{name} cannot read images of this size ({first_line(error)}); try a larger one"
        raise ConfigError("image_size", image_size, problem) from error
    return model
