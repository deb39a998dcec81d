"""What a trained network says of many picture files: decoded by threads, a batch at a time."""

import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from transfer.data.decode import decode_or_refuse, resize_square
from transfer.deploy.classifier import PictureClassifier
from transfer.system.errors import ConfigError
from transfer.system.prefetch import ordered_prefetch

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """A class name with its probability, 0 to 1."""

    name: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What became of a file.

    Attributes:
        path: as it was named.
        predictions: the most probable first; empty where the file cannot be read.
        refusal: why it cannot.
    """

    path: Path
    predictions: tuple[Prediction, ...] = ()
    refusal: ConfigError | None = None


def classify_files(
    classifier: PictureClassifier, paths: Iterable[Path], *, top: int, batch_size: int
) -> Generator[Answer, None, None]:
    """An answer for each file, in their order: of the same pixels that a training would have had of
    it. What is in memory grows with the batch and not with the number of files.

    Close the generator if it is not used up: it holds threads.

    Args:
        top: predictions an answer at most.
        batch_size: pictures at a time.
    """

    def read(path: Path) -> tuple[Path, Pixels | ConfigError]:
        try:
            return path, read_picture(classifier, path)
        except ConfigError as error:
            return path, error

    # Pillow decodes outside Python's lock, so threads help.
    threads = min(os.cpu_count() or 1, 16)
    # A batch is decoded while the one before is on a GPU.
    ahead = max(4 * threads, batch_size)
    with closing(ordered_prefetch(read, paths, threads=threads, ahead=ahead)) as pictures:
        while batch := list(islice(pictures, batch_size)):
            yield from _answers(classifier, batch, top)


def read_picture(classifier: PictureClassifier, path: Path) -> Pixels:
    """A picture as the classifier's test images were kept: uint8 [3, stored_size, stored_size].

    Raises:
        ConfigError: the file is no whole image.
    """
    size, how = classifier.stored_size, (classifier.fit, classifier.interpolation)
    image = decode_or_refuse(path, key="image", side=size, fit=how[0], interpolation=how[1])
    if image.width != size:
        # A small square, which a set of nothing else would keep as it is.
        image = resize_square(image, size, *how)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _answers(
    classifier: PictureClassifier, batch: list[tuple[Path, Pixels | ConfigError]], top: int
) -> Iterator[Answer]:
    squares = [each for _, each in batch if not isinstance(each, ConfigError)]
    if squares:
        probabilities = classifier.probabilities(torch.from_numpy(np.stack(squares)))
        # Stable: among equals the first class, as in argmax.
        shares, order = probabilities.sort(dim=1, descending=True, stable=True)
        found = iter(zip(order[:, :top].tolist(), shares[:, :top].tolist(), strict=True))
    for path, each in batch:
        if isinstance(each, ConfigError):
            yield Answer(path, refusal=each)
            continue
        pairs = zip(*next(found), strict=True)
        yield Answer(path, tuple(Prediction(classifier.classes[k], share) for k, share in pairs))
