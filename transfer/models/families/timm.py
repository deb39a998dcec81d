"""The classifiers of timm (PyTorch Image Models): `model=timm model.name=convnext_nano`.

They are called "timm/convnext_nano" here, for timm shares names such as resnet18 with torchvision.
timm is loaded when one of them is asked for, not before.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from transfer.models.families.base import (
    Family,
    NamedModules,
    PublishedWeights,
    as_stage,
    download,
)
from transfer.system.errors import ConfigError, first_line
from transfer.system.network import require_network
from transfer.system.torchvision import load_torchvision

PREFIX = "timm/"
_HUB, _BRANCH = "https://huggingface.co/", "/resolve/main/"

_POSITIONS = re.compile(r"(?:^|\.)(?:pos_embed|patch_pos)")
_DENSE = ("convnext_", "deit_", "densenet", "resnet", "resnext", "swin_", "vgg", "vit_")

# For the few models that do not say (CAFormer, PiT, RDNet), what the others say.
_STEM_AND_STAGES = {
    "stem": "^(?:stem|patch_embed|cls_token|pos_embed)",
    "blocks": [(r"^(?:dense_)?stages\.(\d+)", None), (r"^transformers\.(\d+)", None)],
}


@cache
def load_timm() -> ModuleType:
    """timm itself. It imports torchvision, which may need help first."""
    load_torchvision()
    return import_module("timm")


class Timm(Family):
    """timm's classifiers with one head, and the weights that its hub has for them."""

    # VOLO's second head, which serves training with a label for each token.
    unused = ("aux_head.",)

    def names(self) -> list[str]:
        return [f"{PREFIX}{name}" for name in load_timm().list_models() if _has_one_head(name)]

    def knows(self, name: str) -> bool:
        return name.startswith(PREFIX) and _has_one_head(name.removeprefix(PREFIX))

    def present_name(self, name: str) -> str | None:
        present = load_timm().models.get_deprecated_models().get(name.removeprefix(PREFIX))
        return f"{PREFIX}{present}" if present else None

    def build(self, name: str, num_classes: int, image_size: int) -> nn.Module:
        return build_timm(name.removeprefix(PREFIX), num_classes, image_size)

    def includes(self, model: nn.Module) -> bool:
        return type(model).__module__.startswith("timm.")

    def head(self, model: nn.Module) -> str:
        """The last linear layer alone: what comes before it, norms and poolings included, timm
        counts to the backbone."""
        return _classifiers(_cfg_of(model))[0]

    def published(self, name: str) -> tuple[PublishedWeights, ...]:
        """By timm's tags, such as "in12k_ft_in1k"; its own choice first."""
        found: Mapping[str, Any] = load_timm().models.get_arch_pretrained_cfgs(
            name.removeprefix(PREFIX)
        )
        return tuple(_published(cfg) for cfg in found.values() if cfg.hf_hub_id or cfg.url)

    def at_hand(self, name: str, weights: PublishedWeights) -> bool:
        if not weights.url.startswith(_HUB):
            return super().at_hand(name, weights)
        return _cached_by_hub(weights.url) is not None

    def load_published(
        self, name: str, weights: PublishedWeights, source: str
    ) -> Mapping[str, Tensor]:
        hub, in_hub = import_module("huggingface_hub"), weights.url.startswith(_HUB)
        path = _cached_by_hub(weights.url) if in_hub else str(download(weights.url, source))
        if path is None:
            instead = "use weights=none, or download that file elsewhere and give weights=<file>"
            require_network(weights.url, key="weights", value=source, instead=instead)
        try:
            path = path or hub.hf_hub_download(*_in_hub(weights.url))
            tagged = f"{name.removeprefix(PREFIX)}.{weights.entry}"
            # timm knows which names and shapes it published them under.
            model = load_timm().create_model(
                tagged, pretrained=True, pretrained_cfg_overlay={"file": path}
            )
        except Exception as error:
            reason = first_line(error)
            problem = f"{weights.url} could not be fetched ({reason})"
            if path is not None:
                problem = f"{path} could not be read ({reason}); remove it and try again"
            raise ConfigError("weights", source, problem) from error
        state: Mapping[str, Tensor] = model.state_dict()
        return state

    def adapt(self, model: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """As timm does where it loads weights: position embeddings and tables of relative
        positions are interpolated, and the names of a model's first publication understood."""
        own, head = model.state_dict(), self.head(model) + "."

        def fits(state: Mapping[str, Tensor]) -> bool:
            return all(
                name in state and state[name].shape == tensor.shape
                for name, tensor in own.items()
                if not name.startswith(head)
            )

        convert = getattr(import_module(type(model).__module__), "checkpoint_filter_fn", None)
        if convert is not None and not fits(state):
            # What belongs to another network fails anywhere; that it does not fit is said by its
            # names.
            with suppress(Exception):
                state = dict(convert(dict(state), model))
        if fits(state):
            return state
        # Some models (VOLO, ConViT, CaiT) bring no such function.
        return {
            name: _resample_positions(tensor, own[name].shape)
            if name in own and _POSITIONS.search(name)
            else tensor
            for name, tensor in state.items()
        }

    def is_dense(self, name: str) -> bool:
        # Measured as torchvision's models of the same architectures were; the rest was not.
        return name.removeprefix(PREFIX).startswith(_DENSE)

    def stages(self, model: nn.Module) -> NamedModules:
        """As timm groups them for rates that fall from layer to layer (`group_matcher`); a
        transformer's blocks are stages of their own."""
        group_parameters = load_timm().models.group_parameters
        groups: dict[str, int] = group_parameters(model, _matcher(model), reverse=True)
        head = self.head(model)
        numbers = {name: at for name, at in groups.items() if not name.startswith(f"{head}.")}
        # What timm groups with the last layer is the end of the backbone.
        own = sorted(set(numbers.values()) - {groups[f"{head}.weight"]})
        numbers = {name: at if at in own else own[-1] for name, at in numbers.items()}
        parts = list(_parts(model, "", numbers))
        return [
            as_stage([(name, part) for at, name, part in parts if at == number]) for number in own
        ]


def _in_hub(url: str) -> tuple[str, str]:
    """The repository and the file that an address of timm's hub names."""
    repository, _, file = url.removeprefix(_HUB).partition(_BRANCH)
    return repository, file


def _cached_by_hub(url: str) -> str | None:
    """Where the hub keeps what it downloaded from there; None where it has nothing."""
    path = import_module("huggingface_hub").try_to_load_from_cache(*_in_hub(url))
    return path if isinstance(path, str) else None


def build_timm(architecture: str, num_classes: int, image_size: int) -> nn.Module:
    """A model of timm with random weights, for square images of `image_size` pixels."""
    timm = load_timm()
    cfg = timm.get_pretrained_cfg(architecture)
    options: dict[str, object] = {"num_classes": num_classes}
    if cfg.fixed_input_size:
        options["img_size"] = image_size
    if "aux_head" in _classifiers(vars(cfg)):
        options["use_aux_head"] = False
    model: nn.Module = timm.create_model(architecture, **options)
    return model


def _has_one_head(architecture: str) -> bool:
    timm = load_timm()
    # What follows a dot names weights, not a model.
    if "." in architecture or not timm.is_model(architecture):
        return False
    cfg = timm.get_pretrained_cfg(architecture)
    return cfg is not None and len(set(_classifiers(vars(cfg))) - {"aux_head"}) == 1


def _published(cfg: Any) -> PublishedWeights:
    crop = cfg.input_size[-1]
    file = f"{_HUB}{cfg.hf_hub_id}{_BRANCH}{cfg.hf_hub_filename or 'model.safetensors'}"
    return PublishedWeights(
        entry=cfg.tag or "",
        url=file if cfg.hf_hub_id else cfg.url,
        mean=tuple(cfg.mean),
        std=tuple(cfg.std),
        # As timm's own transforms round it.
        resize=math.floor(crop / cfg.crop_pct),
        crop=crop,
        interpolation="bilinear" if cfg.interpolation == "bilinear" else "bicubic",
    )


def _resample_positions(positions: Tensor, shape: Sequence[int]) -> Tensor:
    """Position embeddings of a square grid for another one, or as they are where they are none.

    Args:
        positions: (1, height, width, channels), (1, channels, height, width) or (1, tokens,
            channels), where the class token may come first.
        shape: what is wanted, in the same order.
    """
    if positions.ndim != len(shape) or positions.shape == shape:
        return positions
    layers = load_timm().layers
    if positions.ndim == 4 and positions.shape[-1] == shape[-1] and shape[1] == shape[2]:
        return layers.resample_abs_pos_embed_nhwc(positions, list(shape[1:3]))
    if positions.ndim == 4 and positions.shape[1] == shape[1] and shape[2] == shape[3]:
        last = layers.resample_abs_pos_embed_nhwc(positions.permute(0, 2, 3, 1), list(shape[2:]))
        return last.permute(0, 3, 1, 2)
    if positions.ndim == 3 and positions.shape[-1] == shape[-1]:
        side, prefix = math.isqrt(shape[1]), shape[1] - math.isqrt(shape[1]) ** 2
        old = math.isqrt(positions.shape[1])
        if prefix <= 1 and positions.shape[1] == old**2 + prefix:
            return layers.resample_abs_pos_embed(positions, [side, side], num_prefix_tokens=prefix)
    return positions


def _matcher(model: Any) -> Any:
    try:
        return model.group_matcher(coarse=True)
    except (AttributeError, AssertionError):
        return _STEM_AND_STAGES


def _cfg_of(model: Any) -> Mapping[str, Any]:
    cfg: Mapping[str, Any] = model.pretrained_cfg
    return cfg


def _classifiers(cfg: Mapping[str, Any]) -> tuple[str, ...]:
    names = cfg["classifier"]
    return names if isinstance(names, tuple) else (names,) if names else ()


def _parts(
    module: nn.Module, prefix: str, numbers: Mapping[str, int]
) -> Iterator[tuple[int, str, nn.Module]]:
    """The largest modules whose parameters are all of one group: its number, name and module.
    Parameters of no such module follow as a list.

    Args:
        numbers: the group of every parameter that counts, by its full name.
    """
    own = dict[int, list[nn.Parameter]]()
    for name, parameter in module.named_parameters(recurse=False):
        if prefix + name in numbers:
            own.setdefault(numbers[prefix + name], []).append(parameter)
    for name, child in module.named_children():
        full = f"{prefix}{name}"
        named = [f"{full}.{each}" for each, _ in child.named_parameters()]
        groups = [numbers.get(each, -1) for each in named]
        if groups and groups[0] >= 0 and len(set(groups)) == 1:
            yield groups[0], full, child
        elif groups:
            yield from _parts(child, f"{full}.", numbers)
    for number, parameters in own.items():
        yield number, prefix.rstrip("."), nn.ParameterList(parameters)
