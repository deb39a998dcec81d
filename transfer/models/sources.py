"""`weights=`: one key for every source of initial weights. No file is ever executed.

The starter weights are backbones that this project pretrained itself and ships with itself, each a
safetensors file of float16 numbers beside a card (JSON) that tells how it was made.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from transfer.config.weights import CHOICES, EXAMPLE
from transfer.models.checkpoint_file import is_checkpoint_name, is_safetensors, read_tensors
from transfer.models.families import FAMILIES, family_named, shared_meta_model
from transfer.models.families.base import PublishedWeights
from transfer.models.normalization import Normalization
from transfer.models.unwrap import find_model
from transfer.models.weights import TrainedOn, Weights, make_weights
from transfer.system.digest import state_digest
from transfer.system.errors import ConfigError
from transfer.system.paths import REPOSITORY

STARTER_FOLDER = REPOSITORY / "transfer" / "starter_weights"


def resolve_source(source: str, model_name: str) -> str:
    """What "auto" comes to for a model: the makers' weights where they are at hand, else starter
    weights, else the makers' from the network; "none" only where nobody pretrained the model."""
    if source != "auto":
        return source
    family = family_named(model_name)
    published = family.published(model_name)
    if published and family.at_hand(model_name, published[0]):
        return "imagenet"
    if model_name in starter_models():
        return "starter"
    return "imagenet" if published else "none"


def is_published(source: str) -> bool:
    """Whether `weights=` names what all the world has, or nothing: neither a file nor a run."""
    return source.partition(":")[0] in ("starter", "imagenet", "none")


def weights_at_hand() -> list[tuple[str, str]]:
    """The models, each with a source, whose pretrained weights need no network: starter weights,
    those of installed packages, and those that torch's or the hub's cache has."""
    found = [(name, "starter") for name in starter_models()]
    for family in FAMILIES:
        for name in family.names():
            for number, weights in enumerate(family.published(name)):
                if family.at_hand(name, weights):
                    # The makers' own choice goes without its entry, as weights=auto has it.
                    found.append((name, f"imagenet:{weights.entry}" if number else "imagenet"))
    return found


def read_weights(source: str, model_name: str, model: nn.Module | None = None) -> Weights:
    """Read the weights that `weights=` names; a run's are first fetched from the store.

    Args:
        source: "starter", "imagenet", "imagenet:" and one of the published ones, "none", or a file.
        model_name: says which starter or ImageNet weights.
        model: of that name, perhaps on the meta device; only files need it, to be searched for it.

    Raises:
        ConfigError: nothing is there, it is no checkpoint, or no part of it fits the model.
    """
    kind, _, entry = source.partition(":")
    if source == "none":
        return Weights(source, "none", None)
    if source == "starter":
        state, card = read_starter(model_name), read_card(model_name)
        # The card says all of it, and is what the weights have been named by.
        return Weights(source, card["digest"], state, _card_normalization(card))
    if kind == "imagenet":
        published = choose_published(model_name, entry, source)
        state = family_named(model_name).load_published(model_name, published, source)
        return make_weights(source, state, Normalization.of_published(published))
    if not is_checkpoint_name(source):
        own = f"or give each model its own, in quotes: {EXAMPLE}"
        raise ConfigError("weights", source, f"choose from {CHOICES}, {own}")
    assert model is not None
    path = Path(source).expanduser()
    part = find_model(read_tensors(path, source), model, model_name, source)
    normalization, classes, trained_on = describe_file(path)
    notes = [part.note]
    if normalization is None:
        if family_named(model_name).input_transform(model_name):
            notes.append("transform_input on, as with the published weights")
        # Whoever trained a published model anew kept to its makers' normalisation, mostly.
        made = family_named(model_name).published(model_name)
        normalization = Normalization.of_published(made[0], "published") if made else None
        notes.append(_other_normalizations(made))
    note = "; ".join(filter(None, notes))
    return make_weights(
        source, part.state, normalization, classes, note=note, trained_on=trained_on
    )


def _other_normalizations(published: Sequence[PublishedWeights]) -> str:
    """A remark on those with which others of a model's published weights read images, whose first
    is taken for a file that says nothing; "" where all agree. DINO's and MAE's ViT have ImageNet's,
    where timm's own choice has 0.5."""
    entries: dict[Normalization, str] = {}
    for each in published:
        plain = replace(Normalization.of_published(each), interpolation="", image_size=None)
        entries.setdefault(plain, each.entry)
    others = [
        f"data.mean={_typed(each.mean)} data.std={_typed(each.std)} ({entry})"
        for each, entry in list(entries.items())[1:]
    ]
    return f"the model is also published with {', and with '.join(others)}" if others else ""


def _typed(values: Sequence[float]) -> str:
    return f"[{','.join(map(str, values))}]"


def shared_weights(source: str, model_name: str, image_size: int) -> Weights:
    """The same for a model that reads images of this size, in pixels. The jobs of a sweep mostly
    share their weights: the last ones read stay at hand for as long as their file is the same."""
    files = list[Path]()
    if source == "starter":
        files = [STARTER_FOLDER / f"{model_name}{suffix}" for suffix in (".json", ".safetensors")]
    elif is_checkpoint_name(source):
        files = [Path(source).expanduser()]
    found = [file.stat() for file in files if file.is_file()]
    states = tuple((each.st_mtime_ns, each.st_size) for each in found)
    return _read_once(source, model_name, image_size, states)


# One, for those of a large model take half a gigabyte.
@lru_cache(maxsize=1)
def _read_once(
    source: str, model_name: str, image_size: int, files: tuple[tuple[int, int], ...]
) -> Weights:
    return read_weights(source, model_name, shared_meta_model(model_name, image_size))


def pretrained_size(source: str, model_name: str) -> int | None:
    """The pixels that weights were trained with; None where nobody knows.

    Args:
        source: as of `read_weights`.
    """
    kind, _, entry = source.partition(":")
    if source == "starter":
        return int(read_card(model_name)["image_size"]) if model_name in starter_models() else None
    if kind == "imagenet":
        return choose_published(model_name, entry, source).crop
    path = Path(source).expanduser()
    own = describe_file(path)[0] if path.is_file() else None
    return own.image_size if own else None


def choose_published(model_name: str, entry: str, source: str) -> PublishedWeights:
    """The makers' own choice of published weights, or those that `entry` names.

    Raises:
        ConfigError: there are none, or none of that name.
    """
    published = family_named(model_name).published(model_name)
    if not published:
        raise ConfigError(
            "weights", source, f"none are published for {model_name}; use weights=none"
        )
    if not entry:
        return published[0]
    found = next((each for each in published if each.entry == entry), None)
    if found is None:
        choices = ", ".join(f"imagenet:{each.entry}" for each in published)
        raise ConfigError("weights", source, f"for {model_name} choose from {choices}")
    return found


def describe_file(
    path: Path,
) -> tuple[Normalization | None, tuple[str, ...] | None, TrainedOn | None]:
    """The normalisation, the class names, and the images trained on, that a safetensors file of
    this project comes with; None of each for others."""
    if not is_safetensors(path):
        return None, None, None
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    normalization = Normalization.of_metadata(metadata)
    if normalization is None or "classes" not in metadata:
        return None, None, None
    classes = tuple(json.loads(metadata["classes"]))
    return normalization, classes, TrainedOn.of_params(metadata)


def _card_normalization(card: Mapping[str, Any]) -> Normalization:
    return Normalization(
        mean=tuple(card["mean"]),
        std=tuple(card["std"]),
        interpolation=card["interpolation"],
        image_size=card["image_size"],
    )


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
        problem = (
            f"there are none for {model_name}, only for {there}; use weights=auto, imagenet or none"
        )
        raise ConfigError("weights", "starter", problem)
    path = STARTER_FOLDER / f"{model_name}.safetensors"
    try:
        state = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise ConfigError("weights", "starter", f"{path} is damaged ({error})") from error
    if state_digest(state) != read_card(model_name)["digest"]:
        raise ConfigError("weights", "starter", f"{path} is not the file that its card describes")
    return state
