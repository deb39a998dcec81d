"""A classifier in two: the backbone, which gives features, and the head, which reads them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transfer.models.head import head_name, head_of


class _Catch(nn.Module):
    """Stands where the head was, and keeps what it is given."""

    def forward(self, features: Tensor) -> Tensor:
        self.features = features
        return features


def features_of(model: nn.Module, images: Tensor) -> Tensor:
    """What the head of `model` is given for float [N, 3, H, W]: [N, …]; the head is not run."""
    name, head, catch = head_name(model), head_of(model), _Catch()
    # Every family calls its head by this name, and none needs it to be anything but a module.
    setattr(model, name, catch)
    try:
        model(images)
    finally:
        setattr(model, name, head)
    return catch.features


class FrozenBackbone(nn.Module):
    """A classifier that trains its head alone: the backbone is run without gradient or graph.

    Args:
        model: shares its parameters; float [N, 3, H, W] gives logits [N, K] as ever.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            features = features_of(self.model, images)
        return _logits(head_of(self.model), features)


class HeadAlone(nn.Module):
    """The head of a classifier, which reads features [N, …] and gives logits [N, K]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.head = head_of(model)

    def forward(self, features: Tensor) -> Tensor:
        return _logits(self.head, features)


def _logits(head: nn.Module, features: Tensor) -> Tensor:
    # SqueezeNet's head ends in a pooling, and is flattened by the model.
    return head(features).flatten(1)
