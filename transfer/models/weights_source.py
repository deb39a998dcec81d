"""`weights=`: one key for every source of initial weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor

from transfer.models.families import family_named
from transfer.models.starter import read_starter
from transfer.models.weights import Weights
from transfer.models.weights_file import SUFFIXES, read_weights_file
from transfer.system.digest import state_digest
from transfer.system.errors import ConfigError, first_line
from transfer.system.network import require_network


def read_weights(source: str, model_name: str) -> Weights:
    """Read the weights that `weights=` names; a run's are first fetched from the store.

    Args:
        source: "starter", "imagenet", "none", or a .pth, .pt or .safetensors file.
        model_name: says which starter or ImageNet weights.

    Raises:
        ConfigError: nothing is there, it is no checkpoint, or it would have to run code.
    """
    if source == "none":
        return Weights(source, "none", None)
    if source == "starter":
        state = read_starter(model_name)
    elif source == "imagenet":
        state = _read_imagenet(model_name)
    elif Path(source).suffix in SUFFIXES:
        state = read_weights_file(Path(source).expanduser(), source)
    else:
        choices = "starter, imagenet, none, a .pth or .safetensors file, runs:/<run id>"
        raise ConfigError("weights", source, f"choose from {choices}")
    return Weights(source, state_digest(state), state)


def _read_imagenet(model_name: str) -> Mapping[str, Tensor]:
    family = family_named(model_name)
    published = family.published(model_name)
    if not published:
        problem = f"none are published for {model_name}; use weights=none"
        raise ConfigError("weights", "imagenet", problem)
    url = published[0].url
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    if not cached.is_file():
        instead = f"use weights=starter or none, or put that file into {cached.parent}"
        require_network(url, key="weights", value="imagenet", instead=instead)
    try:
        state = torch.hub.load_state_dict_from_url(url, check_hash=True, weights_only=True)
        return {family.tensor_name(name): tensor for name, tensor in state.items()}
    except Exception as error:
        # Half a download fails wherever the unpickler happens to be.
        reason = first_line(error)
        problem = f"{cached} could not be fetched or read ({reason}); remove it and try again"
        raise ConfigError("weights", "imagenet", problem) from error
