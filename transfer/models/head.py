"""A model's head, which a new task replaces and trains first, and the backbone before it."""

from __future__ import annotations

from torch import Tensor, nn

from transfer.models.families import family_of


def head_name(model: nn.Module) -> str:
    """The attribute that holds the head: everything outside it is the backbone."""
    return family_of(model).head(model)


def head_of(model: nn.Module) -> nn.Module:
    """The head itself; MobileNetV3's is both layers of its classifier."""
    return model.get_submodule(head_name(model))


def backbone_modules(model: nn.Module) -> list[nn.Module]:
    """The model's children outside the head."""
    head = head_of(model)
    return [child for child in model.children() if child is not head]


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    return list(head_of(model).parameters())


def backbone_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Every parameter outside the head, ViT's class token and position embedding included."""
    in_head = {id(parameter) for parameter in head_parameters(model)}
    return [parameter for parameter in model.parameters() if id(parameter) not in in_head]


def backbone_stages(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The backbone as named parts, in the order that images pass through them.

    Each parameter outside the head is in one of them. A part shares the model's parameters, and
    may be a mere container of layers, which cannot be called.
    """
    return family_of(model).stages(model)


def backbone_state(model: nn.Module) -> dict[str, Tensor]:
    """The state dict without the head's entries."""
    head = head_name(model) + "."
    return {name: each for name, each in model.state_dict().items() if not name.startswith(head)}


def replace_last_layer(model: nn.Module, num_classes: int) -> None:
    """Give `model` a fresh last layer with `num_classes` outputs, drawn as torch draws it."""
    family_of(model).replace_last_layer(model, num_classes)
