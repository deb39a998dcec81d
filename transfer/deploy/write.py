"""Forms of a trained classifier, each a file that is checked before it is left: `pt2` and `onnx` in
float32, and `onnx_int8`."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from transfer.data import ImageData
from transfer.data.image_data import Split
from transfer.deploy.classifier import Classifier
from transfer.deploy.description import Description
from transfer.deploy.exported import ExportedClassifier, network_inputs, open_own
from transfer.deploy.files import WRITERS, save_onnx
from transfer.deploy.network import PixelNetwork, export_program
from transfer.deploy.quantize import calibration_images, quantize
from transfer.evaluate.metrics import evaluation_batch_size
from transfer.system.bars import bar
from transfer.system.errors import ConfigError
from transfer.system.lock import Lock, LockedError

FORMS = {"pt2": "model.pt2", "onnx": "model.onnx", "onnx_int8": "model.int8.onnx"}
# How far an output may be from torch's, and how many test images are tried.
TOLERANCE = 1e-4
MOST_CHECKED = 256


@dataclass(frozen=True)
class Written:
    """A form in its file.

    Attributes:
        form: a key of FORMS.
        difference: the largest from torch's outputs on `checked` test images.
    """

    form: str
    path: Path
    classifier: ExportedClassifier
    difference: float
    checked: int


def write_forms(
    classifier: Classifier, description: Description, data: ImageData, forms: Sequence[str],
    folder: Path,
) -> Iterator[Written]:  # fmt: skip
    """Export a classifier: each form is written, read again, tried on test images, and only then
    given its name.

    Args:
        description: of the float32 forms.
        data: the images that it was trained and tested on.
        forms: keys of FORMS.
        folder: is there.

    Raises:
        ConfigError: it cannot be exported so, or what was written gives other outputs than torch;
            that file is not left.
    """
    network = PixelNetwork(classifier, softmax=description.output == "probabilities")
    program = export_program(network, description.image_size, key="to", value=forms[0])
    images = network_inputs(_some(data.test), description)
    with torch.inference_mode():
        expected = torch.cat([network(each) for each in _batches(images)])
    with _unfinished(folder) as unfinished:
        float_onnx = unfinished / "float.onnx"
        for form in forms:
            path = unfinished / FORMS[form]
            if form == "onnx_int8":
                if not float_onnx.exists():
                    WRITERS["onnx"](program, float_onnx, description)
                model = quantize(float_onnx, calibration_images(data.train), description)
                save_onnx(model, path, replace(description, numbers="int8"))
            else:
                WRITERS[form](program, path, description)
            difference = _difference(open_own(path), images, expected)
            if form != "onnx_int8":
                _require_equal(form, difference, len(images))
            path = path.replace(folder / FORMS[form])
            if form == "onnx":
                float_onnx = path
            yield Written(form, path, open_own(path), difference, len(images))


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """A folder below this one for files that are not checked yet; one command's at a time.

    Raises:
        ConfigError: another one is exporting there.
    """
    # Always of the same name, so that what a kill has left does not stay.
    path, lock = folder / "unfinished-forms", Lock(folder / "unfinished-forms.lock")
    try:
        lock.acquire()
    except LockedError as error:
        problem = f"another command is exporting there; wait for it{error.advice}"
        raise ConfigError("out", folder, problem) from error
    try:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(exist_ok=True)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):
            lock.path.unlink()
        lock.release()


def all_scores(classifier: ExportedClassifier, test: Split, title: str) -> Tensor:
    """What a form answers to every test image, float32 [N, K], in their order."""
    batches = torch.arange(len(test)).split(evaluation_batch_size(classifier.image_size))
    shown = bar(batches, desc=title)
    return torch.cat([classifier.scores(test.take(indices)) for indices in shown])


def _some(test: Split) -> Tensor:
    """Test images from all over the split."""
    count = min(len(test), MOST_CHECKED)
    return test.take(torch.linspace(0, len(test) - 1, count).long())


def _batches(images: Tensor) -> Iterator[Tensor]:
    """One image, then the others: a file may have taken a number of images for its own."""
    yield images[:1]
    yield from images[1:].split(evaluation_batch_size(images.shape[-1]))


def _difference(classifier: ExportedClassifier, images: Tensor, expected: Tensor) -> float:
    """The largest of the outputs; of logits above 1 as a share of the largest, for float32 has
    seven digits, wherever they stand."""
    found = torch.cat([classifier.run(each) for each in _batches(images)])
    return ((found - expected).abs().max() / expected.abs().max().clamp(min=1)).item()


def _require_equal(form: str, difference: float, images: int) -> None:
    # What is no number is no small one.
    if not difference <= TOLERANCE:
        problem = f"its outputs differ from torch's by up to {difference:.2g} on {images} test"
        raise ConfigError("to", form, f"{problem} images; no such file was left")
