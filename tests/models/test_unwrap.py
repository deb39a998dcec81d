"""Checkpoints of others: the model is found in them whatever wraps it, and nothing is executed."""

from __future__ import annotations

import argparse
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from transfer.models.families import build_model, meta_model
from transfer.models.sources import read_weights
from transfer.models.unwrap import find_model
from transfer.models.weights import Weights
from transfer.system.errors import ConfigError

State = dict[str, Any]
MODEL = "mobilenet_v3_small"


def _state(seed: int = 7) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return build_model(MODEL, 5, 32).state_dict()


def _under(prefix: str, state: Mapping[str, Any]) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def _headless(state: State) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith("classifier")}


def _read(path: Path) -> Weights:
    return read_weights(str(path), MODEL, meta_model(MODEL, 32))


def _moco(state: State) -> State:
    own = {"module.queue": torch.ones(3), "module.encoder_k.fc.0.weight": torch.ones(2)}
    keys = _under("module.encoder_k.", _state(8))
    return {"arch": MODEL, "state_dict": _under("module.encoder_q.", state) | keys | own}


def _dino(state: State) -> State:
    projector = {"module.head.mlp.0.weight": torch.ones(2, 2)}
    student = _under("module.backbone.", _headless(_state(8))) | projector
    teacher = _under("backbone.", _headless(state)) | {"head.mlp.0.weight": torch.ones(2, 2)}
    return {"student": student, "teacher": teacher, "args": argparse.Namespace(lr=0.1)}


def _lightning(state: State) -> State:
    others = {"criterion.weight": torch.ones(4)}
    averages = {"exp_avg": torch.ones(3)}
    return {
        "state_dict": _under("model.", state) | others,
        "optimizer_states": [{"state": {0: averages}}],
        "hyper_parameters": argparse.Namespace(size=np.float32(3)),
        "callbacks": {_Custom: _Custom({"best": 1})},
    }


class _Custom(dict[str, int]):
    """What only its own project can read."""


WRAPPERS: dict[str, tuple[Callable[[State], object], str]] = {
    "plain.pth": (lambda state: state, ""),
    "CAPITALS.PTH": (lambda state: state, ""),
    "a=b.pt": (lambda state: {"state_dict": state, "epoch": 3}, "found under state_dict"),
    "parallel.tar": (lambda state: _under("module.", state), "found under module"),
    "lightning.ckpt": (_lightning, "found under state_dict.model"),
    "net.ckpt": (
        lambda state: {"state_dict": _under("net.", state)},
        "found under state_dict.net",
    ),
    "moco.pth.tar": (
        _moco,
        "found under state_dict.module.encoder_q; state_dict.module.encoder_k would fit as well",
    ),
    "dino.pth": (
        _dino,
        "found under teacher.backbone; student.module.backbone would fit as well",
    ),
    "simsiam.bin": (
        lambda state: {
            "state_dict": _under("module.encoder.", state) | {"module.predictor.0": torch.ones(1)}
        },
        "found under state_dict.module.encoder",
    ),
    "mae.pth": (
        lambda state: {"model": {**state, "mask_token": torch.ones(1), "decoder.0": torch.ones(1)}},
        "found under model; no part of the model: mask_token, decoder",
    ),
    "byol.ckpt": (
        lambda state: (
            _under("online_encoder.net.", state) | _under("target_encoder.net.", _state(8))
        ),
        "found under online_encoder.net; target_encoder.net would fit as well",
    ),
    "ema.pth": (
        lambda state: {"state_dict": _state(8), "state_dict_ema": state},
        "found under state_dict_ema; state_dict would fit as well",
    ),
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", WRAPPERS)
def test_checkpoints_are_read_whatever_wraps_them(
    tmp_path: Path, name: str, *, legacy: bool
) -> None:
    wrap, note = WRAPPERS[name]
    torch.save(wrap(_state()), tmp_path / name, _use_new_zipfile_serialization=not legacy)
    if legacy and wrap in (_dino, _lightning):
        with pytest.raises(ConfigError, match=r"before 1\.6.*save its state_dict alone"):
            _read(tmp_path / name)
        return
    read, state = _read(tmp_path / name), _state()
    assert read.note == note
    assert read.state is not None and set(_headless(state)) <= set(read.state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in read.state.items())


def test_a_model_saved_as_an_object_is_read(tmp_path: Path) -> None:
    torch.manual_seed(7)
    torch.save(build_model(MODEL, 5, 32), tmp_path / "model.pth")
    read = _read(tmp_path / "model.pth")
    assert read.state is not None
    assert all(torch.equal(tensor, read.state[name]) for name, tensor in _state().items())


class _Attack:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "call",
    [
        (Path.touch, (Path("executed"),)),
        (exec, ("open('executed', 'w')",)),
        (__import__("os").system, ("touch executed",)),
        (torch.load, ("other.pth",)),
    ],
    ids=["touch", "exec", "system", "load"],
)
def test_code_beside_the_tensors_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[Any, ...], *, legacy: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    content = {"state_dict": _state(), "args": _Attack(*call)}
    torch.save(content, "weights.pth", _use_new_zipfile_serialization=not legacy)
    if legacy:
        with pytest.raises(ConfigError, match="holds more than tensors"):
            _read(Path("weights.pth"))
    else:
        assert _read(Path("weights.pth")).note == "found under state_dict"
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


class _Patch:
    """In torch's old format: a class whose source has changed, which torch writes beside it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (OrderedDict, (), {"__name__": "executed", "dump_patches": True})


def test_no_file_is_written_beside_the_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    class Pickler(pickle.Pickler):
        def persistent_id(self, each: object) -> object:
            return ("module", _Patch(), "file", "source") if each == "here" else None

    with Path("weights.pth").open("wb") as file:
        for header in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
            pickle.dump(header, file, protocol=2)
        Pickler(file, protocol=2).dump(["here"])
        pickle.dump([], file, protocol=2)
    with pytest.raises(ConfigError, match=r"weights\.pth"):
        _read(Path("weights.pth"))
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


@pytest.mark.parametrize("odd", ["huge", "sparse"])
def test_tensors_that_would_fill_the_memory_are_refused(tmp_path: Path, odd: str) -> None:
    tensor = torch.ones(1).expand(2**44) if odd == "huge" else torch.ones(3).to_sparse()
    torch.save(_state() | {"features.odd": tensor}, tmp_path / "odd.pth")
    with pytest.raises(ConfigError, match=r"features\.odd is no plain tensor"):
        _read(tmp_path / "odd.pth")


def test_programs_and_archives_are_called_what_they_are(tmp_path: Path) -> None:
    import tarfile

    scripted = torch.jit.script(torch.nn.Linear(2, 2))
    torch.jit.save(scripted, tmp_path / "scripted.pt")
    with pytest.raises(ConfigError, match="a TorchScript program, not a checkpoint"):
        _read(tmp_path / "scripted.pt")
    with tarfile.open(tmp_path / "files.tar", "w") as tar:
        tar.add(tmp_path / "scripted.pt", "scripted.pt")
    with pytest.raises(ConfigError, match="an archive of files, not a checkpoint"):
        _read(tmp_path / "files.tar")


def test_what_does_not_fit_is_named_by_what_the_file_holds() -> None:
    other = _under("state_dict.", meta_model("resnet34", 32).state_dict())
    with pytest.raises(ConfigError) as refused:
        find_model(other, meta_model(MODEL, 32), MODEL, "a.pth")
    assert str(refused.value) == (
        "weights=a.pth: holds 218 tensors such as state_dict.layer4.0.conv2.weight: "
        f"looks like resnet34; the model is {MODEL}"
    )
    strange = {f"{number}.weight": torch.ones(3) for number in range(9)}
    with pytest.raises(ConfigError, match=rf"0\.weight; the model is {MODEL}$"):
        find_model(strange, meta_model(MODEL, 32), MODEL, "a.pth")


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda each: (each * 100).to(torch.int8), "holds int8, as quantised or packed weights do"),
        (lambda each: each.to(torch.float8_e4m3fn), "holds float8_e4m3fn, as quantised"),
        (lambda each: each * torch.nan, "holds numbers that are NaN or infinite; take an earlier"),
    ],
)
@pytest.mark.parametrize("name", ["features.1.block.0.0.weight", "features.0.1.running_var"])
def test_numbers_that_no_network_has_are_refused(
    spoil: Callable[[Tensor], Tensor], problem: str, name: str
) -> None:
    """torch would copy them without a word."""
    state, model = _state(), meta_model(MODEL, 32)
    find_model(state, model, MODEL, "a.pth")
    with pytest.raises(ConfigError, match=rf"weights=a\.pth: {name} {problem}"):
        find_model(state | {name: spoil(state[name])}, model, MODEL, "a.pth")
