"""A file of weights read into plain tensors. Nothing in it is executed.

Most checkpoints hold more than tensors: the arguments of the training script, say. Objects of
other classes are left unread: where one was, there is an inert one without a name.
"""

import pickle
import tarfile
import types
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

import safetensors.torch
import torch
from torch import Tensor

from transfer.system.errors import ConfigError, first_line

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar")

# What safetensors allows, in bytes.
_LONGEST_HEADER = 100_000_000
# Between a module's name and those of its parts, where a model was saved as an object.
_OF_MODULES = ("_modules", "_parameters", "_buffers")


def is_checkpoint_name(source: str) -> bool:
    """Whether a file of this name may be read; its suffix tells, in capitals or not."""
    return Path(source).suffix.lower() in SUFFIXES


def is_safetensors(path: Path) -> bool:
    """Whether a file is one of safetensors, whatever its name: the length of its header in 8 bytes
    comes first, and then the header, which is JSON (https://github.com/huggingface/safetensors)."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= _LONGEST_HEADER


def read_tensors(path: Path, source: str) -> Mapping[str, Tensor]:
    """Every tensor in a file, under the names that lead to it, joined by dots.

    Args:
        path: of a file with one of SUFFIXES.
        source: what the user wrote for it; errors quote it.

    Raises:
        ConfigError: there is no such file, it is damaged, no checkpoint, or holds no tensors.
    """
    if not path.is_file():
        raise ConfigError("weights", source, "there is no such file")
    with path.open("rb") as file:
        if file.read(64).lstrip().startswith(b"<"):
            problem = "a web page, not a checkpoint: its download answered with a page"
            raise ConfigError("weights", source, problem)
    unread: list[str] = []
    try:
        if is_safetensors(path):
            content: Any = safetensors.torch.load_file(path)
        else:
            _require_plain(path, source)
            content = _unpickle(path, source, unread)
        tensors = dict(_tensors(content, "", set()))
        _require_whole(tensors, source)
    except ConfigError:
        raise
    except Exception as error:
        # A damaged file fails wherever the unpickler happens to be.
        problem = f"damaged, or not a checkpoint ({first_line(error)})"
        raise ConfigError("weights", source, problem) from error
    if not tensors:
        other = ", ".join(dict.fromkeys(unread))
        more = f"; it would run code when loaded ({other}), which nothing does here"
        raise ConfigError("weights", source, f"holds no tensors{more if unread else ''}")
    return tensors


def _require_plain(path: Path, source: str) -> None:
    """Raise ConfigError for what torch would not read as a pickle."""
    # First, for an archive may end in what it holds last.
    if tarfile.is_tarfile(path):
        problem = "an archive of files, not a checkpoint; unpack it, and name the file in it"
        raise ConfigError("weights", source, problem)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                problem = "a TorchScript program, not a checkpoint; save its state_dict instead"
                raise ConfigError("weights", source, problem)


def _require_whole(tensors: Mapping[str, Tensor], source: str) -> None:
    """Raise ConfigError for a tensor without a number for each place: sparse ones, and the few
    numbers that a file may give for a tensor which would fill the memory."""
    for name, each in tensors.items():
        dense = each.layout == torch.strided
        if not dense or each.numel() * each.element_size() > each.untyped_storage().nbytes():
            raise ConfigError("weights", source, f"{name} is no plain tensor; save it contiguous")


def _unpickle(path: Path, source: str, unread: list[str]) -> object:
    """What torch saved, first by torch's own rules.

    Args:
        unread: gets the names of what is not taken over.
    """
    # By its name, torch would take it for one of safetensors.
    with path.open("rb") as file, warnings.catch_warnings():
        # Of an old pickle, torch warns before it refuses it: the refusal is enough.
        warnings.simplefilter("ignore")
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            if not zipfile.is_zipfile(path):
                # For these, torch compares the source of classes, and may write what differs.
                problem = (
                    "holds more than tensors in torch's format of before 1.6, which is not unpacked"
                    "; load it where you trust it, and save its state_dict alone"
                )
                raise ConfigError("weights", source, problem) from error
            reader = _pickle_module(unread)
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=False, pickle_module=reader)


class _Unread:
    """Stands for any object that is not read, and does nothing whatever it is called with."""

    parts: dict[object, object]

    def __new__(cls, *_: object, **__: object) -> Self:
        made = object.__new__(cls)
        made.parts = {}
        return made

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __call__(self, *_: object, **__: object) -> object:
        return _Unread()

    def __setstate__(self, state: object) -> None:
        for each in state if isinstance(state, tuple) else (state,):
            if isinstance(each, dict):
                self.parts |= each

    def __setitem__(self, name: object, value: object) -> None:
        self.parts[name] = value

    def append(self, value: object) -> None:
        self.parts[len(self.parts)] = value

    def extend(self, values: list[object]) -> None:
        for value in values:
            self.append(value)

    add = append


def _rebuilt(function: Callable[..., Any]) -> Callable[..., Any]:
    # A pickle can set attributes of what it names: of this one, not of torch's own.
    def rebuild(*arguments: Any) -> Any:
        return function(*arguments)

    return rebuild


def _rebuild_subclass(function: Callable[..., Any], _: object, arguments: Any, __: object) -> Any:
    return function(*arguments)


def _allowed() -> dict[str, Any]:
    """What tensors are made of, by its name; besides storages, which torch itself finds."""
    rebuild = torch._utils
    plain = {
        "collections.OrderedDict": _rebuilt(OrderedDict),
        "torch.Size": tuple,
        "torch._utils._rebuild_tensor": _rebuilt(rebuild._rebuild_tensor),
        "torch._utils._rebuild_tensor_v2": _rebuilt(rebuild._rebuild_tensor_v2),
        "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
        "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
        "torch._tensor._rebuild_from_type_v2": _rebuilt(_rebuild_subclass),
    }
    kinds = (value for value in vars(torch).values() if isinstance(value, torch.dtype))
    return plain | {str(kind): kind for kind in kinds}


def _pickle_module(unread: list[str]) -> Any:
    """What torch.load takes for Python's pickle: looks up nothing but what `_allowed` has."""
    allowed = _allowed()

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            full = f"{module}.{name}"
            if full in allowed:
                return allowed[full]
            unread.append(full)
            return _Unread

    def load(file: IO[bytes], **options: Any) -> object:
        return Unpickler(file, **options).load()

    return types.SimpleNamespace(
        Unpickler=Unpickler, load=load, UnpicklingError=pickle.UnpicklingError, __name__=__name__
    )


def _tensors(content: object, name: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    """The tensors within, each with its name; what holds them is looked into once."""
    if isinstance(content, Tensor):
        yield name, content.detach()
    elif id(content) in seen:
        return
    seen.add(id(content))
    parts: Mapping[Any, object] = {}
    if isinstance(content, Mapping):
        parts = content
    elif isinstance(content, _Unread):
        parts = content.parts
    elif isinstance(content, list | tuple):
        parts = dict(enumerate(content))
    for key, value in parts.items():
        steps = [name, *([] if key in _OF_MODULES else [str(key)])]
        yield from _tensors(value, ".".join(filter(None, steps)), seen)
