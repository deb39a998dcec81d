"""Where a classifier's head is: the part that a new task replaces and trains first."""

from __future__ import annotations

from torch import Tensor, nn

# torchvision's names, one a family: ResNet and its kin, RegNet, ShuffleNet; VGG, MobileNet,
# EfficientNet, DenseNet, ConvNeXt, SqueezeNet, MaxViT; ViT; Swin.
_HEAD_NAMES = ("fc", "classifier", "heads", "head")


def head_name(model: nn.Module) -> str:
    """The attribute that holds the head: everything outside it is the backbone.

    Raises:
        ValueError: the model has none of torchvision's names for it.
    """
    for name in _HEAD_NAMES:
        if isinstance(getattr(model, name, None), nn.Module):
            return name
    raise ValueError(f"{type(model).__name__} has no head under {', '.join(_HEAD_NAMES)}")


def head_of(model: nn.Module) -> nn.Module:
    """The head itself; of MobileNetV3, both layers of its classifier."""
    return model.get_submodule(head_name(model))


def backbone_modules(model: nn.Module) -> list[nn.Module]:
    """The model's children outside the head."""
    head = head_of(model)
    return [child for child in model.children() if child is not head]


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    return list(head_of(model).parameters())


def backbone_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Every parameter outside the head, ViT's class token and position embedding included."""
    of_head = {id(parameter) for parameter in head_parameters(model)}
    return [parameter for parameter in model.parameters() if id(parameter) not in of_head]


def backbone_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict without the head's entries."""
    head = head_name(model) + "."
    return {name: each for name, each in model.state_dict().items() if not name.startswith(head)}


def last_layer_name(model: nn.Module) -> str:
    """The full name of the layer that gives the logits: the last linear or 1x1 convolution."""
    head = head_name(model)
    layers = [
        name
        for name, module in model.get_submodule(head).named_modules(prefix=head)
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    if not layers:
        raise ValueError(f"{type(model).__name__}.{head} has no linear layer")
    return layers[-1]


def replace_last_layer(model: nn.Module, num_classes: int) -> None:
    """Give `model` a fresh last layer with `num_classes` outputs, drawn as torch draws it.

    SqueezeNet ends in a convolution, everything else in a linear layer.
    """
    name = last_layer_name(model)
    old = model.get_submodule(name)
    new: nn.Module
    if isinstance(old, nn.Conv2d):
        new = nn.Conv2d(old.in_channels, num_classes, kernel_size=1)
    else:
        assert isinstance(old, nn.Linear)
        new = nn.Linear(old.in_features, num_classes)
    parent, _, attribute = name.rpartition(".")
    setattr(model.get_submodule(parent), attribute, new)
