"""Weights from a file, read as plain tensors: no file is ever executed."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from transfer.system.errors import ConfigError, first_line

SUFFIXES = (".pth", ".pt", ".safetensors")

# What training scripts keep a state dict under, and what their wrappers put before every name.
_CONTAINERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "model.", "backbone.", "_orig_mod.")


def read_weights_file(path: Path, source: str) -> Mapping[str, Tensor]:
    """The state dict in a .pth, .pt or .safetensors file, under the model's own names.

    Args:
        path: the file.
        source: what the user wrote for it; errors quote it.

    Raises:
        ConfigError: there is no such file, it is no checkpoint, or it would have to run code.
    """
    if not path.is_file():
        raise ConfigError("weights", source, "there is no such file")
    with path.open("rb") as file:
        if file.read(64).lstrip().startswith(b"<"):
            problem = "a web page, not a checkpoint: its download answered with a page"
            raise ConfigError("weights", source, problem)
    try:
        if path.suffix == ".safetensors":
            content: Any = safetensors.torch.load_file(path)
        else:
            with warnings.catch_warnings():
                # Of an old pickle, torch warns before it refuses it: the refusal is enough.
                warnings.simplefilter("ignore")
                content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        problem = "not a plain checkpoint of tensors; it is damaged, or would run code when loaded"
        raise ConfigError("weights", source, problem) from error
    except Exception as error:
        # A damaged file fails wherever the unpickler happens to be.
        problem = f"damaged, or not a checkpoint ({first_line(error)})"
        raise ConfigError("weights", source, problem) from error
    return _plain_names(content, source)


def _plain_names(content: object, source: str) -> Mapping[str, Tensor]:
    for container in _CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(container), Mapping):
            content = content[container]
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
