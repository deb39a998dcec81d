"""torchvision, importable beside any build of torch. Import it from here, never directly.

The index's only torchvision wheel for Linux needs CUDA's libraries to load its compiled
operators. Beside a CPU build of torch they do not load, and ``import torchvision`` then fails
where it registers shape functions for them ("operator torchvision::nms does not exist").
Classifiers, data sets and transforms use none of these operators, so declaring the two
schemas is enough. Where the operators do load, nothing is declared.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _operators_load() -> bool:
    """Load torchvision's compiled operators, as its own import would; say whether they loaded."""
    package = find_spec("torchvision")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("torchvision is not installed: run make setup")
    folder = Path(package.origin).parent
    finder = FileFinder(str(folder), (ExtensionFileLoader, EXTENSION_SUFFIXES))
    library = finder.find_spec("_C")
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)
    except (ImportError, OSError):
        return False
    return True


def _declare_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    return library


# The declarations live as long as the library object does.
_library = None if _operators_load() else _declare_operators()

import torchvision  # noqa: E402

__all__ = ["torchvision"]
