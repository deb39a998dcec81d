"""The part of a checkpoint that is a model: found by the model's own names and shapes, whatever
training scripts and wrappers put before them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from transfer.models.families import build_model, family_of
from transfer.system.errors import ConfigError

# Of several parts that fit equally well, a teacher's or an average's is the one to use: DINO's, or
# an exponential moving average (EMA). Else the first in the file: MoCo's and BYOL's online encoder.
_PREFERRED = {"teacher", "ema"}
# Less than this share of a backbone's tensors is another model's.
_LEAST = 0.5
# What is tried to name a file's model, the larger of two first: ResNet34 holds all of ResNet18.
# All that are known would take minutes.
_COMMON = (
    "resnet50", "resnet34", "resnet18", "mobilenet_v3_small", "mobilenet_v3_large",
    "timm/vit_base_patch16_224", "timm/vit_small_patch16_224", "timm/vit_tiny_patch16_224",
    "vit_b_16", "efficientnet_b0", "convnext_tiny", "densenet121",
)  # fmt: skip
_LOOKS_LIKE = 0.9
# What BatchNorm's buffers end in that hold averages of activations.
_AVERAGES = ("running_mean", "running_var")


@dataclass(frozen=True)
class ModelPart:
    """The tensors of a checkpoint that belong to a model.

    Attributes:
        state: under the model's own names.
        note: where in the file they were, and what was left there, in words; "" for a plain file.
    """

    state: dict[str, Tensor]
    note: str


def find_model(
    tensors: Mapping[str, Tensor], model: nn.Module, model_name: str, source: str
) -> ModelPart:
    """Find the part that fits `model`, which may lie on the meta device.

    Args:
        tensors: of a file, as `read_tensors` gives them.
        source: what the user wrote for it; errors quote it.

    Raises:
        ConfigError: no part does, or it holds other numbers than a network's.
    """
    family = family_of(model)
    tensors = {family.tensor_name(name): tensor for name, tensor in tensors.items()}
    backbone = _backbone(model)
    counts = _count_fits(tensors, backbone)
    most = max(counts.values(), default=0)
    if most < _LEAST * len(backbone):
        raise ConfigError("weights", source, _what_it_holds(tensors, model_name))
    fitting = [prefix for prefix, count in counts.items() if count == most]
    prefix = min(fitting, key=lambda each: not _PREFERRED & set(re.split(r"[._]", each)))
    inside = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    own = {name.partition(".")[0] for name in model.state_dict()}
    state = {name: tensor for name, tensor in inside.items() if name.partition(".")[0] in own}
    _require_numbers(state, model, source)
    aside = dict.fromkeys(name.partition(".")[0] for name in inside if name not in state)
    return ModelPart(state, _note(prefix, [each for each in fitting if each != prefix], [*aside]))


def _require_numbers(state: Mapping[str, Tensor], model: nn.Module, source: str) -> None:
    """Raise ConfigError for what torch would copy into a network in silence: the whole numbers of
    quantised weights, without what they are to be scaled by, and what a failed training left."""
    averages = (name for name, _ in model.named_buffers() if name.endswith(_AVERAGES))
    learned = {name for name, _ in model.named_parameters()} | set(averages)
    for name, each in state.items():
        if name not in learned:
            continue
        if not each.is_floating_point() or each.element_size() < 2:
            kind = str(each.dtype).removeprefix("torch.")
            problem = f"{name} holds {kind}, as quantised or packed weights do"
            would_do = "save the weights that they were made of, in float16, bfloat16 or float32"
            raise ConfigError("weights", source, f"{problem}; {would_do}")
        if not each.isfinite().all():
            problem = f"{name} holds numbers that are NaN or infinite"
            raise ConfigError("weights", source, f"{problem}; take an earlier checkpoint")


def _note(prefix: str, others: list[str], aside: list[str]) -> str:
    notes = []
    if prefix:
        notes.append(f"found under {prefix.rstrip('.')}")
    if others:
        would_fit = ", ".join(each.rstrip(".") or "the top" for each in others)
        notes.append(f"{would_fit} would fit as well")
    if aside:
        more = f" and {len(aside) - 4} more" if len(aside) > 4 else ""
        notes.append(f"no part of the model: {', '.join(aside[:4])}{more}")
    return "; ".join(notes)


def _backbone(model: nn.Module) -> dict[str, torch.Size]:
    """Names and shapes outside the head; the counter is lacking in old checkpoints."""
    head = family_of(model).head(model) + "."
    return {
        name: tensor.shape
        for name, tensor in model.state_dict().items()
        if not name.startswith(head) and not name.endswith("num_batches_tracked")
    }


def _count_fits(tensors: Mapping[str, Tensor], backbone: Mapping[str, torch.Size]) -> Counter[str]:
    """How many tensors fit the backbone below each prefix, in the order of the file."""
    counts: Counter[str] = Counter()
    for name, tensor in tensors.items():
        for prefix in _prefixes(name):
            if backbone.get(name.removeprefix(prefix)) == tensor.shape:
                counts[prefix] += 1
    return counts


def _prefixes(name: str) -> Iterator[str]:
    yield ""
    for dot in re.finditer(r"\.", name):
        yield name[: dot.end()]


def _what_it_holds(tensors: Mapping[str, Tensor], model_name: str) -> str:
    example = max(tensors, key=lambda name: tensors[name].numel())
    found = _recognised(tensors)
    looks = f": looks like {found}" if found else ""
    return f"holds {len(tensors)} tensors such as {example}{looks}; the model is {model_name}"


def _recognised(tensors: Mapping[str, Tensor]) -> str:
    """Which of the models that weights are mostly handed around for this is, if any."""
    for candidate in _COMMON:
        try:
            with torch.device("meta"):
                model = build_model(candidate, 2, 224)
        except (ConfigError, ImportError):
            continue
        backbone = _backbone(model)
        counts = _count_fits(tensors, backbone)
        if max(counts.values(), default=0) >= _LOOKS_LIKE * len(backbone):
            return candidate
    return ""
