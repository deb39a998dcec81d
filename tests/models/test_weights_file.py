"""Weights from files: plain tensors are read, whatever wraps them; nothing is executed."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from transfer.models import build_model, read_weights_file
from transfer.system.errors import ConfigError


def _state() -> dict[str, Tensor]:
    torch.manual_seed(7)
    return build_model("mobilenet_v3_small", 5, 32).state_dict()


def _read(path: Path) -> dict[str, Tensor]:
    return dict(read_weights_file(path, path.name))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"model": {f"backbone.{name}": tensor for name, tensor in state.items()}},
    ],
)
def test_checkpoints_are_read_whatever_wraps_them(
    tmp_path: Path, wrap: Callable[[dict[str, Any]], Any]
) -> None:
    torch.save(wrap(_state()), tmp_path / "weights.pth")
    read, state = _read(tmp_path / "weights.pth"), _state()
    assert list(read) == list(state)
    assert all(torch.equal(read[name], state[name]) for name in state)


def test_safetensors_are_read(tmp_path: Path) -> None:
    safetensors.torch.save_file(_state(), tmp_path / "weights.safetensors")
    assert set(_read(tmp_path / "weights.safetensors")) == set(_state())


class _Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def test_a_pickle_that_would_run_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": _Attack()}, "weights.pth")
    with pytest.raises(ConfigError, match="would run code"):
        _read(Path("weights.pth"))
    Path("plain.pth").write_bytes(pickle.dumps(_Attack()))
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(ConfigError, match=r"weights=plain\.pth"),
    ):
        _read(Path("plain.pth"))
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["page.pth", "page.safetensors"])
def test_a_web_page_is_called_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\n<!DOCTYPE html><html>404</html>")
    with pytest.raises(ConfigError, match="a web page, not a checkpoint"):
        _read(tmp_path / name)


@pytest.mark.parametrize("name", ["empty.pth", "empty.safetensors", "noise.pth"])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"" if name.startswith("empty") else bytes(range(256)))
    with pytest.raises(ConfigError) as refused:
        _read(tmp_path / name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}])
def test_a_checkpoint_without_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="holds no"):
        _read(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".pth":
        torch.save(_state(), path)
    else:
        safetensors.torch.save_file(_state(), path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ConfigError, match="damaged"):
        _read(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        _read(tmp_path / "nothing.pth")
