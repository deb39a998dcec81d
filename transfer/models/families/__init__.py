"""The families of models, and which one a name or a model belongs to.

Another family is another module here, and another entry of FAMILIES.
"""

from __future__ import annotations

from torch import nn

from transfer.models.families.base import Family, PublishedWeights
from transfer.models.families.simple_cnn import SimpleCNNFamily
from transfer.models.families.torchvision import Torchvision
from transfer.system.errors import ConfigError

__all__ = ["FAMILIES", "Family", "PublishedWeights", "family_named", "family_of", "model_names"]

FAMILIES: tuple[Family, ...] = (SimpleCNNFamily(), Torchvision())


def model_names() -> list[str]:
    """Every model of every family."""
    return sorted(name for family in FAMILIES for name in family.names())


def family_named(model_name: str) -> Family:
    """The family that builds this model.

    Raises:
        ConfigError: there is no such model.
    """
    for family in FAMILIES:
        if model_name in family.names():
            return family
    choices = model_names()
    close = [name for name in choices if name.split("_")[0][:5] == model_name[:5]] or choices
    problem = f"there is no such classifier; choose from {', '.join(close)}"
    raise ConfigError("model.name", model_name, problem)


def family_of(model: nn.Module) -> Family:
    """The family that built this model.

    Raises:
        ValueError: none did.
    """
    for family in FAMILIES:
        if family.includes(model):
            return family
    raise ValueError(f"{type(model).__name__} is of no family that is known")
