"""Initial weights from a source: torchvision's, a file, or none. No file is ever executed."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from transfer.config import ConfigError
from transfer.data.download import require_network
from transfer.models.head import head_name
from transfer.vision import torchvision

# What training wrappers put before every name.
_PREFIXES = ("module.", "model.", "backbone.", "_orig_mod.")


@dataclass(frozen=True)
class Weights:
    """A state dict and where it came from.

    Attributes:
        source: as the user gave it.
        digest: content hash of names and tensors, 16 hexadecimal digits, or "none".
        state: torchvision's parameter names to tensors; None to start from random weights.
    """

    source: str
    digest: str
    state: Mapping[str, Tensor] | None


def read_weights(source: str, model_name: str) -> Weights:
    """Read the weights that `weights=` names.

    Args:
        source: "none", "imagenet", or a .pth, .pt or .safetensors file.
        model_name: as in torchvision; says which ImageNet weights.

    Raises:
        ConfigError: nothing is there, it is no checkpoint, or it would have to run code.
    """
    if source == "none":
        return Weights(source, "none", None)
    if source == "imagenet":
        state = _read_imagenet(model_name)
    elif Path(source).suffix in (".pth", ".pt", ".safetensors"):
        state = _read_file(Path(source).expanduser(), source)
    else:
        choices = "none, imagenet, a .pth or .safetensors file"
        raise ConfigError("weights", source, f"choose from {choices}")
    return Weights(source, state_digest(state), state)


def state_digest(state: Mapping[str, Tensor]) -> str:
    """Content hash of names, shapes, types and values: 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def load_into(model: nn.Module, weights: Weights) -> None:
    """Copy the weights into `model`; a last layer for other classes is left as it is.

    Raises:
        ConfigError: see `fitting_state`.
    """
    model.load_state_dict(fitting_state(model, weights), strict=False)


def fitting_state(model: nn.Module, weights: Weights) -> dict[str, Tensor]:
    """The weights that `model` (which may lie on the meta device) takes over.

    Raises:
        ConfigError: a name or shape outside the head does not fit, whether missing or left over.
    """
    if weights.state is None:
        return {}
    own = model.state_dict()
    head = head_name(model) + "."
    fitting = {
        name: tensor
        for name, tensor in weights.state.items()
        if name in own and own[name].shape == tensor.shape
    }
    unfit = [name for name in (*own, *weights.state) if name not in fitting]
    # A counter that old checkpoints lack, and that only BatchNorm without momentum reads.
    required = [
        name for name in unfit if not name.startswith(head) and "num_batches_tracked" not in name
    ]
    if required:
        first = ", ".join(dict.fromkeys(required[:6]))
        problem = f"does not fit {type(model).__name__}: {len(set(required))} names such as {first}"
        raise ConfigError("weights", weights.source, problem)
    return fitting


def _read_imagenet(model_name: str) -> Mapping[str, Tensor]:
    try:
        published = torchvision.models.get_model_weights(model_name)
    except ValueError as error:
        problem = f"torchvision publishes none for {model_name}; use weights=none"
        raise ConfigError("weights", "imagenet", problem) from error
    choice = published.DEFAULT
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(choice.url).path).name
    if not cached.is_file():
        instead = f"use weights=none, or put that file into {cached.parent}"
        require_network(choice.url, key="weights", value="imagenet", instead=instead)
    try:
        return choice.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        problem = f"{cached} could not be fetched or read ({error})"
        raise ConfigError("weights", "imagenet", problem) from error


def _read_file(path: Path, source: str) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise ConfigError("weights", source, "there is no such file")
    try:
        if path.suffix == ".safetensors":
            content: Any = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        problem = "not a plain checkpoint of tensors; it is damaged, or would run code when loaded"
        raise ConfigError("weights", source, problem) from error
    except (safetensors.SafetensorError, RuntimeError, EOFError, ValueError, OSError) as error:
        first_line = str(error).partition("\n")[0]
        problem = f"damaged, or not a checkpoint ({first_line})"
        raise ConfigError("weights", source, problem) from error
    return _plain_names(content, source)


def _plain_names(content: object, source: str) -> Mapping[str, Tensor]:
    """Unwrap {"state_dict": …} and take off the prefixes of training wrappers."""
    for wrapper in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise ConfigError("weights", source, "holds no state dict")
    state = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not state:
        raise ConfigError("weights", source, "holds no tensors")
    stripped = True
    while stripped:
        stripped = False
        for prefix in _PREFIXES:
            if all(name.startswith(prefix) for name in state):
                state = {name.removeprefix(prefix): value for name, value in state.items()}
                stripped = True
    return state
