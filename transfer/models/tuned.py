"""Which part of a network trains, and which stays frozen, by what `tune` names."""

from torch import nn

from transfer.config.tune import last_stages
from transfer.models.families import family_of
from transfer.models.families.base import NamedModules
from transfer.models.head import backbone_parameters, head_of
from transfer.system.errors import ConfigError

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)


def frozen_stages(model: nn.Module, tune: str) -> NamedModules:
    """The stages that stay as they are, parameters and buffers, from the first on."""
    stages, last = family_of(model).stages(model), last_stages(tune)
    return [] if last is None else stages[: len(stages) - last]


def tuned_backbone(model: nn.Module, tune: str) -> list[nn.Parameter]:
    """Every parameter outside the head that trains, in the model's order."""
    if tune == "norm":
        tuned = {id(each) for each in _norm_parameters(model)}
        return [each for each in backbone_parameters(model) if id(each) in tuned]
    frozen = {id(each) for _, stage in frozen_stages(model, tune) for each in stage.parameters()}
    return [each for each in backbone_parameters(model) if id(each) not in frozen]


def distances(model: nn.Module) -> dict[int, int]:
    """How far from the head each parameter of the backbone is, in stages, by its `id`: 1 in the
    last stage."""
    stages = reversed(family_of(model).stages(model))
    return {
        id(each): distance
        for distance, (_, stage) in enumerate(stages, start=1)
        for each in stage.parameters()
    }


def train_but_frozen(model: nn.Module, tune: str) -> None:
    """Training mode for all but what is frozen, where nothing drops out and no statistics move."""
    model.train()
    frozen = frozen_stages(model, tune)
    if not frozen:
        return
    head = head_of(model)
    trained = {id(head)}
    for _, stage in family_of(model).stages(model)[len(frozen) :]:
        trained |= {id(module) for module in stage.modules()}
    for _, stage in frozen:
        stage.eval()
    # Such as a dropout between two stages, which is of neither: with those before it.
    for module in model.modules():
        if id(module) in trained:
            break
        if not any(True for _ in module.parameters()):
            module.eval()


def require_tunable(model: nn.Module, name: str, tune: str) -> None:
    """Raise ConfigError where the model has not what `tune` names.

    Args:
        model: of the family's own building, on any device.
        name: by which people know it.
    """
    last, stages = last_stages(tune), len(family_of(model).stages(model))
    if last is not None and last >= stages:
        problem = f"{name} has {stages} stages before its head: choose from last:1 to last:"
        raise ConfigError("tune", tune, f"{problem}{stages - 1}, or all of them with tune=all")
    if tune == "norm" and not tuned_backbone(model, tune):
        problem = f"{name} has no normalisation layers; choose from all, head, last:<k>"
        raise ConfigError("tune", tune, problem)


def _norm_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The scales and shifts of every normalisation layer."""
    return [
        parameter
        for module in model.modules()
        # timm has several of its own, of no common class.
        if isinstance(module, _NORMS) or "Norm" in type(module).__name__
        for parameter in module.parameters(recurse=False)
    ]
