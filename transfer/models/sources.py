"""`weights=`: one key for every source of initial weights. No file is ever executed.

The starter weights are backbones that this project pretrained itself and ships with itself, each a
safetensors file of float16 numbers beside a card (JSON) that tells how it was made.
"""

import json
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from transfer.models.families import family_named
from transfer.models.normalization import Normalization
from transfer.models.weights import Weights, weights_digest
from transfer.system.digest import state_digest
from transfer.system.errors import ConfigError, first_line
from transfer.system.paths import REPOSITORY

STARTER_FOLDER = REPOSITORY / "transfer" / "starter_weights"

_SUFFIXES = (".pth", ".pt", ".safetensors")
# What training scripts keep a state dict under, and what their wrappers put before every name.
_CONTAINERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "model.", "backbone.", "_orig_mod.")


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
        state, card = read_starter(model_name), read_card(model_name)
        # The card says all of it, and is what the weights have been named by.
        return Weights(source, card["digest"], state, _card_normalization(card))
    if source == "imagenet":
        state = _read_imagenet(model_name)
        normalization = _published_normalization(model_name, "weights")
    elif Path(source).suffix in _SUFFIXES:
        path = Path(source).expanduser()
        state = read_weights_file(path, source)
        normalization = file_normalization(path)
        if normalization is None:
            # Whoever trained a published model anew kept to its makers' normalisation, mostly.
            normalization = _published_normalization(model_name, "published")
    else:
        choices = "starter, imagenet, none, a .pth or .safetensors file, runs:/<run id>"
        raise ConfigError("weights", source, f"choose from {choices}")
    return Weights(source, weights_digest(state_digest(state), normalization), state, normalization)


def file_normalization(path: Path) -> Normalization | None:
    """What a safetensors file that this project wrote says of its images; None for others."""
    if path.suffix != ".safetensors":
        return None
    with safetensors.safe_open(path, framework="pt") as file:
        return Normalization.of_metadata(file.metadata())


def _card_normalization(card: Mapping[str, Any]) -> Normalization:
    return Normalization(
        mean=tuple(card["mean"]),
        std=tuple(card["std"]),
        interpolation=card["interpolation"],
        image_size=card["image_size"],
    )


def _published_normalization(model_name: str, source: str) -> Normalization | None:
    published = family_named(model_name).published(model_name)
    return Normalization.of_published(published[0], source) if published else None


def starter_models() -> list[str]:
    """The models that have starter weights."""
    return sorted(path.stem for path in STARTER_FOLDER.glob("*.safetensors"))


def read_card(model_name: str) -> dict[str, Any]:
    """How a model's starter weights were made: what `experiments/starter.py` noted."""
    card: dict[str, Any] = json.loads((STARTER_FOLDER / f"{model_name}.json").read_text())
    return card


def read_starter(model_name: str) -> Mapping[str, Tensor]:
    """The float16 state dict of a model, its last layer left out.

    Raises:
        ConfigError: there is none for this model, or the file is not what its card says.
    """
    if model_name not in starter_models():
        there = ", ".join(starter_models()) or "no model yet"
        problem = f"there are none for {model_name}, only for {there}; use weights=imagenet or none"
        raise ConfigError("weights", "starter", problem)
    path = STARTER_FOLDER / f"{model_name}.safetensors"
    try:
        state = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise ConfigError("weights", "starter", f"{path} is damaged ({error})") from error
    if state_digest(state) != read_card(model_name)["digest"]:
        raise ConfigError("weights", "starter", f"{path} is not the file that its card describes")
    return state


def _read_imagenet(model_name: str) -> Mapping[str, Tensor]:
    family = family_named(model_name)
    published = family.published(model_name)
    if not published:
        problem = f"none are published for {model_name}; use weights=none"
        raise ConfigError("weights", "imagenet", problem)
    return family.load_published(model_name, published[0], "imagenet")


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
    while shared := [each for each in _PREFIXES if all(name.startswith(each) for name in state)]:
        state = {name.removeprefix(shared[0]): value for name, value in state.items()}
    return state
