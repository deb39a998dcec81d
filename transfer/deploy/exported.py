"""Exported files read again: a classifier that needs nothing of the code that trained it."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transfer.augment import Preprocess
from transfer.config.schema import AugmentConfig
from transfer.deploy.card import require_as_carded
from transfer.deploy.description import INPUT, Description
from transfer.deploy.network import quiet
from transfer.deploy.packages import require_packages
from transfer.system.errors import ConfigError, first_line

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportedClassifier:
    """A `PictureClassifier` out of a file.

    Attributes:
        run: float32 [N, 3, image_size, image_size], 0 to 1, to what the file gives, [N, K].
    """

    description: Description
    run: Callable[[Tensor], Tensor]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.description.classes

    @property
    def image_size(self) -> int:
        return self.description.image_size

    @property
    def stored_size(self) -> int:
        return self.description.stored_size

    @property
    def fit(self) -> str:
        return self.description.fit

    @property
    def interpolation(self) -> str:
        return self.description.interpolation

    def scores(self, pixels: Tensor) -> Tensor:
        """What the file gives, float32 [N, K], for uint8 [N, 3, stored_size, stored_size]."""
        return self.run(network_inputs(pixels, self.description))

    def probabilities(self, pixels: Tensor) -> Tensor:
        scores = self.scores(pixels)
        return scores if self.description.output == "probabilities" else scores.softmax(dim=1)


def network_inputs(pixels: Tensor, description: Description) -> Tensor:
    """Images as the file reads them, float32 [N, 3, S, S], 0 to 1, of uint8 [N, 3, s, s]."""
    # The file itself takes off the mean.
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    size, interpolation = description.image_size, description.interpolation
    return Preprocess(size, zero, one, AugmentConfig(), interpolation)(pixels).contiguous()


def load_exported(path: Path, *, key: str, threads: int = 0) -> ExportedClassifier:
    """Read an exported file of somebody, as far as that runs nothing of it: ONNX.

    Args:
        key: what the user wrote the path after, for the message.
        threads: that it computes with; 0: one a core.

    Raises:
        ConfigError: it is no whole file of this kind, its card or its class names do not fit, or
            a package is missing.
    """
    value = str(path)
    if path.suffix.lower() == ".pt2":
        problem = "torch reads pt2 files by pickle, which may run code of theirs; export to=onnx"
        raise ConfigError(key, value, problem)
    require_packages("onnxruntime", key=key, value=value)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(key, value, f"cannot be read ({error.strerror})") from error
    if not require_as_carded(path, content, key=key, value=value):
        log.warning("%s has no card beside it: whether it is whole cannot be told", path)
    try:
        session = onnx_session(content, threads)
    except Exception as error:
        # Whatever the runtime makes of a damaged file.
        problem = f"is no ONNX file that can be read ({first_line(error)}); export it again"
        raise ConfigError(key, value, problem) from error
    try:
        description = Description.of_metadata(session.get_modelmeta().custom_metadata_map)
    except (KeyError, TypeError, ValueError) as error:
        problem = f"does not say what it reads and answers ({first_line(error)})"
        raise ConfigError(key, value, f"{problem}; files of experiments/export.py do") from error
    _require_fitting(session, description, key, value)
    return ExportedClassifier(description, _onnx_runner(session))


def onnx_session(model: bytes | Path, threads: int = 0) -> Any:
    """A session of onnxruntime on the CPU, without words of its own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    source = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def open_own(path: Path, threads: int = 0) -> ExportedClassifier:
    """Read a file that this project has just written, of either kind: it is known by whom.

    Args:
        threads: as in `load_exported`; of a pt2 file those of torch count.
    """
    if path.suffix == ".onnx":
        session = onnx_session(path, threads)
        described = session.get_modelmeta().custom_metadata_map
        return ExportedClassifier(Description.of_metadata(described), _onnx_runner(session))
    extra = {"description.json": ""}
    with quiet():
        module = torch.export.load(path, extra_files=extra).module()
    # Each call is checked against the program's guards, which is wanted of nobody's passes.
    return ExportedClassifier(
        Description.of_metadata(json.loads(extra["description.json"])), torch.no_grad()(module)
    )


def _onnx_runner(session: Any) -> Callable[[Tensor], Tensor]:
    def run(images: Tensor) -> Tensor:
        (scores,) = session.run(None, {INPUT: images.numpy()})
        return torch.from_numpy(scores)

    return run


def _require_fitting(session: Any, description: Description, key: str, value: str) -> None:
    """Raise ConfigError where a file describes another network than it holds."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    size, classes = description.image_size, len(description.classes)
    read = [(each.name, each.type, list(each.shape[1:])) for each in inputs]
    if read != [(INPUT, "tensor(float)", [3, size, size])]:
        raise ConfigError(key, value, f"does not read {INPUT} of {size} px, as it says it does")
    answered = [list(each.shape[1:]) for each in outputs]
    if answered != [[classes]]:
        [kinds, *_] = [*answered[0], "other things"] if len(answered) == 1 else ["other things"]
        problem = f"names {classes} classes and answers with {kinds}; its class list is of another"
        raise ConfigError(key, value, f"{problem} network: export it again")
