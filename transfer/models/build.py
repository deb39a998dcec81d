"""A classifier by name, with numbers or without."""

from __future__ import annotations

import torch
from torch import nn

from transfer.models.families import family_named
from transfer.system.errors import ConfigError, first_line


def build_model(name: str, num_classes: int, image_size: int) -> nn.Module:
    """A classifier with random weights and a last layer for `num_classes`.

    Args:
        name: of a model of any family.
        num_classes: at least 2.
        image_size: pixels; only transformers are built for one size.

    Raises:
        ConfigError: there is no such model, or it cannot be built for this size.
    """
    family = family_named(name)
    try:
        return family.build(name, num_classes, image_size)
    except (AssertionError, RuntimeError, ValueError) as error:
        problem = f"{name} cannot be built for this size ({first_line(error)})"
        raise ConfigError("image_size", image_size, problem) from error


def meta_model(name: str, image_size: int) -> nn.Module:
    """The model on the meta device, with two classes: shapes without numbers, so without cost.

    Raises:
        ConfigError: there is no such model, or it cannot read images of this size.
    """
    with torch.device("meta"):
        model = build_model(name, 2, image_size)
    try:
        model.eval()(torch.zeros(1, 3, image_size, image_size, device="meta"))
    except RuntimeError as error:
        problem = f"{name} cannot read images of this size ({first_line(error)}); try a larger one"
        raise ConfigError("image_size", image_size, problem) from error
    return model
