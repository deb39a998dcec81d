"""The families of models, and a model of any of them by its name.

Another family is another module here, and another entry of FAMILIES.
"""

import copy
import difflib
from functools import lru_cache

import torch
from torch import nn

from transfer.models.families.base import Family
from transfer.models.families.efficientnet_lite import EfficientNetLite
from transfer.models.families.small import SmallCNNs
from transfer.models.families.timm import PREFIX, Timm
from transfer.models.families.torchvision import Torchvision
from transfer.system.errors import ConfigError, first_line

FAMILIES: tuple[Family, ...] = (SmallCNNs(), Torchvision(), EfficientNetLite(), Timm())


def model_names() -> list[str]:
    """Every model of every family."""
    return sorted(name for family in FAMILIES for name in family.names())


def family_named(model_name: str) -> Family:
    """The family that builds this model.

    Raises:
        ConfigError: there is no such model.
    """
    for family in FAMILIES:
        if family.knows(model_name):
            return family
    present = (family.present_name(model_name) for family in FAMILIES)
    plain, _, entry = next(filter(None, present), model_name).partition(".")
    if plain != model_name and any(family.knows(plain) for family in FAMILIES):
        weights = f", and the weights weights=imagenet:{entry}" if entry else ""
        raise ConfigError("model.name", model_name, f"the model is model.name={plain}{weights}")
    choices = model_names()
    close = difflib.get_close_matches(model_name, choices, n=8) or difflib.get_close_matches(
        f"{PREFIX}{model_name}", choices, n=8
    )
    would_do = f"choose from {', '.join(close)}" if close else "none has a name like it"
    raise ConfigError("model.name", model_name, f"there is no such classifier; {would_do}")


def family_of(model: nn.Module) -> Family:
    """The family that built this model.

    Raises:
        ValueError: none did.
    """
    for family in FAMILIES:
        if family.includes(model):
            return family
    raise ValueError(f"{type(model).__name__} is of no family that is known")


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
    return copy.deepcopy(shared_meta_model(name, image_size))


# To build one and run it takes up to seconds, and the jobs of a sweep mostly share a few.
@lru_cache(maxsize=16)
def shared_meta_model(name: str, image_size: int, num_classes: int = 2) -> nn.Module:
    """The same for so many classes, to be looked at only: every caller gets this very model."""
    if num_classes != 2:
        model = meta_model(name, image_size)
        with torch.device("meta"):
            family_named(name).replace_last_layer(model, num_classes)
        return model
    with torch.device("meta"):
        model = build_model(name, 2, image_size)
    try:
        # What a layer keeps of a pass could not be copied, if it had a gradient.
        with torch.no_grad():
            model.eval()(torch.zeros(1, 3, image_size, image_size, device="meta"))
    except (AssertionError, RuntimeError, ValueError) as error:
        # timm's models assert, some without a word.
        reason = f" ({first_line(error)})" if str(error) else ""
        problem = f"{name} cannot read images of this size{reason}; try a larger one"
        raise ConfigError("image_size", image_size, problem) from error
    return model
