"""A classifier in two: the backbone, which gives features, and the head, which reads them.

A new task replaces the last layer of the head, and trains the head first.
"""

import torch
from torch import Tensor, nn

from transfer.models.families import family_of


def head_name(model: nn.Module) -> str:
    """The attribute that holds the head: everything outside it is the backbone."""
    return family_of(model).head(model)


def head_of(model: nn.Module) -> nn.Module:
    """The head itself; MobileNetV3's is both layers of its classifier."""
    return model.get_submodule(head_name(model))


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    return list(head_of(model).parameters())


def backbone_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Every parameter outside the head, ViT's class token and position embedding included."""
    in_head = {id(parameter) for parameter in head_parameters(model)}
    return [parameter for parameter in model.parameters() if id(parameter) not in in_head]


def backbone_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict without the head's entries."""
    head = head_name(model) + "."
    return {name: each for name, each in model.state_dict().items() if not name.startswith(head)}


class _Catch(nn.Module):
    """Stands where the head was, and keeps what it is given."""

    def forward(self, features: Tensor) -> Tensor:
        self.features = features
        return features


def features_of(model: nn.Module, images: Tensor) -> Tensor:
    """What the head of `model` is given for float [N, 3, H, W]: [N, …]; the head is not run."""
    name, head, catch = head_name(model), head_of(model), _Catch()
    # Every family calls its head by this name, and none needs it to be anything but a module.
    model.set_submodule(name, catch)
    try:
        model(images)
    finally:
        model.set_submodule(name, head)
    return catch.features


def head_alone(model: nn.Module) -> nn.Module:
    """The head of a classifier, which reads features [N, …] and gives logits [N, K]."""
    # SqueezeNet's head ends in a pooling, and is flattened by the model.
    return nn.Sequential(head_of(model), nn.Flatten())


class FrozenBackbone(nn.Module):
    """A classifier that trains its head alone: the backbone is run without gradient or graph.

    Args:
        model: shares its parameters; float [N, 3, H, W] gives logits [N, K] as ever.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.head = head_alone(model)

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            features = features_of(self.model, images)
        return self.head(features)
