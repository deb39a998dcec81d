"""torchvision, importable beside any build of torch: load it from here, never import it directly.

The index's only torchvision wheel for Linux needs CUDA's libraries to load its compiled
operators. Beside a CPU build of torch they do not load, and ``import torchvision`` then fails
where it registers shape functions for them ("operator torchvision::nms does not exist").
Classifiers, data sets and transforms use none of these operators, so declaring the two
schemas is enough. Where the operators do load, nothing is declared.
"""

import sys
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def load_torchvision() -> ModuleType:
    """torchvision itself; unless it is imported already, its missing operators are declared first.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    if "torchvision" not in sys.modules and not operators_load():
        declare_operators()
    return import_module("torchvision")


def operators_load() -> bool:
    """Load torchvision's compiled operators, as its own import would; say whether they loaded."""
    package = find_spec("torchvision")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("torchvision is not installed: run make setup")
    folder = Path(package.origin).parent
    for library in (folder / f"_C{suffix}" for suffix in EXTENSION_SUFFIXES):
        if library.exists():
            with suppress(ImportError, OSError):
                torch.ops.load_library(str(library))
                return True
    return False


@cache
def declare_operators() -> torch.library.Library:
    """Declare the operators' schemas; the declarations live as long as the library object does,
    which the cache keeps."""
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    return library
