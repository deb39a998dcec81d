"""Which parameters an optimiser moves, in groups of one learning rate and one weight decay.

Weight decay is for the weights of convolutions, linear layers and attention. What scales or shifts
a channel, and what is added to every token, is not pulled towards zero, as in timm's
`param_groups_weight_decay` and its models' `no_weight_decay`, and in ConvNeXt's and Swin's own
training code.

Rates fall with the distance from the head where `optimizer.layer_decay` is below 1: by its power
of 1 in the last stage, of 2 in the one before, as in BEiT's fine-tuning
(https://arxiv.org/abs/2106.08254, appendix H). timm's `param_groups_layer_decay` does the same for
transformers whose blocks are stages; of other networks it counts blocks where stages count here.
"""

from collections.abc import Callable
from typing import Any

from torch import nn

from transfer.config.schema import OptimizerConfig
from transfer.models.head import head_parameters
from transfer.models.tuned import distances, tuned_backbone
from transfer.training.phases import Phase

# Ends of names: torchvision's and timm's class tokens, position embeddings, and scales of layers
# that have more than one dimension.
_UNDECAYED = (
    "class_token", "cls_token", "dist_token", "reg_token",
    "pos_embedding", "pos_embed", "relative_position_bias_table", "layer_scale",
    "logit_scale",
)  # fmt: skip


def parameter_groups(
    model: nn.Module, phase: Phase, config: OptimizerConfig
) -> list[dict[str, Any]]:
    """Every parameter that trains in `phase`, once; the head's come first.

    Returns:
        groups as torch's optimisers take them; under "part" each says whether it is of the "head"
        or the "backbone".
    """
    head, backbone = head_parameters(model), tuned_backbone(model, phase.tune)
    away, by_stage = distances(model), config.layer_decay
    rates = [phase.backbone_lr * by_stage ** away[id(parameter)] for parameter in backbone]
    parts = [("head", phase.head_lr, parameter) for parameter in head]
    parts += [("backbone", rate, each) for rate, each in zip(rates, backbone, strict=True)]
    undecayed = set() if config.decay_norms else undecayed_parameters(model)
    groups: dict[tuple[object, ...], dict[str, Any]] = {}
    for part, rate, parameter in parts:
        decay = 0.0 if id(parameter) in undecayed else config.weight_decay
        new = {"params": [], "lr": rate, "weight_decay": decay, "part": part}
        groups.setdefault((part, rate, decay), new)["params"].append(parameter)
    return list(groups.values())


def undecayed_parameters(model: nn.Module) -> set[int]:
    """The `id` of each parameter that weight decay is not for: all of one dimension or none, such
    as biases and what norms scale by, and embeddings of positions and tokens."""
    names_of: Callable[[], set[str]] | None = getattr(model, "no_weight_decay", None)
    named = names_of() if names_of is not None else set()
    return {
        id(parameter)
        for name, parameter in model.named_parameters()
        if parameter.ndim <= 1 or name.endswith(_UNDECAYED) or name in named
    }
