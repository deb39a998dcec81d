"""The starter weights: backbones that this project pretrained itself and ships with itself.

Each is a safetensors file of float16 numbers, beside a card (JSON) that tells how it was made.
`experiments/starter.py` makes both from a finished run of `experiment=pretrain`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from transfer.models.families import family_of
from transfer.system.digest import state_digest
from transfer.system.errors import ConfigError
from transfer.system.paths import REPOSITORY

FOLDER = REPOSITORY / "transfer" / "starter_weights"


@dataclass(frozen=True)
class StarterCard:
    """How a file of starter weights was made, and how good it is.

    Attributes:
        data: name of the data set that it was trained on.
        data_digest, digest: content hashes of that data and of the tensors in the file.
        command, commit: what made it, at which state of this project.
        image_size: pixels.
        epochs: how many that training had.
        accuracy: the trained model's, on the data set's validation images, 0 to 1.
        float16_accuracy: the same with the numbers rounded as they are in the file.
        parameters: how many are in the file.
        size_mb: the file's, in 10^6 bytes.
    """

    model: str
    data: str
    data_digest: str
    command: str
    commit: str
    image_size: int
    epochs: int
    accuracy: float
    float16_accuracy: float
    parameters: int
    size_mb: float
    digest: str


def starter_models() -> list[str]:
    """The models that have starter weights."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def read_starter(model_name: str) -> Mapping[str, Tensor]:
    """The float16 state dict of a model, its last layer left out.

    Raises:
        ConfigError: there is none for this model, or the file is not what its card says.
    """
    if model_name not in starter_models():
        there = ", ".join(starter_models()) or "no model yet"
        problem = f"there are none for {model_name}, only for {there}; use weights=imagenet or none"
        raise ConfigError("weights", "starter", problem)
    path = FOLDER / f"{model_name}.safetensors"
    try:
        state = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise ConfigError("weights", "starter", f"{path} is damaged ({error})") from error
    if state_digest(state) != read_card(model_name).digest:
        raise ConfigError("weights", "starter", f"{path} is not the file that its card describes")
    return state


def read_card(model_name: str) -> StarterCard:
    return StarterCard(**json.loads((FOLDER / f"{model_name}.json").read_text()))


def starter_state(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A trained state dict as it is shipped: without the last layer, numbers as float16.

    Raises:
        ValueError: a number is too large for float16.
    """
    last_layer = family_of(model).last_layer(model) + "."
    kept: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.startswith(last_layer) or name.endswith("num_batches_tracked"):
            continue
        kept[name] = tensor.to(torch.float16).contiguous()
        if not kept[name].isfinite().all():
            raise ValueError(f"{name} holds a number that is too large for float16")
    return kept


def write_starter(state: Mapping[str, Tensor], card: StarterCard, folder: Path) -> None:
    """Write the file and its card."""
    safetensors.torch.save_file(dict(state), folder / f"{card.model}.safetensors")
    (folder / f"{card.model}.json").write_text(json.dumps(asdict(card), indent=2) + "\n")
