"""The weights that ship with the project are whole, small, and what their cards say."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from transfer.models.families import build_model
from transfer.models.sources import (
    STARTER_FOLDER,
    read_card,
    read_starter,
    read_weights,
    starter_models,
)
from transfer.models.weights import match_weights
from transfer.system.errors import ConfigError

MODELS = ("mobilenet_v3_small", "resnet18")


def test_they_are_there_and_small() -> None:
    assert starter_models() == list(MODELS)
    assert sum(path.stat().st_size for path in STARTER_FOLDER.iterdir()) < 30e6
    # They are installed with the package, not only found in a checkout.
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "starter_weights/*" in packaged["package-data"]["transfer"]


@pytest.mark.parametrize("name", MODELS)
def test_the_file_is_what_its_card_says(name: str) -> None:
    card, state = read_card(name), read_starter(name)
    assert read_weights("starter", name).digest == card["digest"]
    assert sum(tensor.numel() for tensor in state.values()) == card["parameters"]
    # Rounding to float16 costs next to nothing.
    assert abs(card["accuracy"] - card["float16_accuracy"]) < 0.002


@pytest.mark.parametrize("name", MODELS)
def test_only_the_last_layer_starts_anew(name: str) -> None:
    model = build_model(name, 10, 32)
    fit = match_weights(model, read_weights("starter", name))
    missing = [key for key in model.state_dict() if key not in fit.loaded]
    assert len([key for key in missing if not key.endswith("num_batches_tracked")]) == 2


def test_a_model_without_any_is_refused_with_those_that_have_some() -> None:
    with pytest.raises(
        ConfigError, match="none for resnet50, only for mobilenet_v3_small, resnet18;"
    ):
        read_weights("starter", "resnet50")


def test_a_file_that_was_tampered_with_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "starter"
    shutil.copytree(STARTER_FOLDER, folder)
    monkeypatch.setattr("transfer.models.sources.STARTER_FOLDER", folder)
    path = folder / "mobilenet_v3_small.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is not the file that its card describes"):
        read_starter("mobilenet_v3_small")
    path.write_bytes(content[:1000])
    with pytest.raises(ConfigError, match="is damaged"):
        read_starter("mobilenet_v3_small")
