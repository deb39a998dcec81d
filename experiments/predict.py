"""Classify pictures with the model of a finished run.

    python experiments/predict.py run=<id> image.png … [top=3] [out=predictions]

A picture that cannot be read is told before the first is classified.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from experiments.arguments import STORE, option, run
from transfer.data.decode import decode_or_refuse
from transfer.deploy.classifier import Classifier, Prediction, load_classifier
from transfer.report.figures.prediction import plot_prediction
from transfer.system.device import resolve_device
from transfer.system.errors import ConfigError, printable
from transfer.tracking.find import fetch_weights, find_job_run
from transfer.tracking.store import open_store, store_uri


@dataclass
class Options:
    images: list[str]
    run: str = option("latest", "id of a finished run, or latest")
    top: int = option(3, "classes to print, the most probable first")
    out: str = option("predictions", "folder for the annotated pictures")
    device: str = option("auto", "auto, cpu, cuda, mps")
    tracking_uri: str | None = option(None, STORE)


def main(options: Options) -> None:
    if not options.images:
        raise ConfigError("image", "", "name at least one picture: predict.py run=<id> image.png")
    if options.top < 1:
        raise ConfigError("top", options.top, "must be at least 1")
    paths = [Path(image) for image in options.images]
    # Every picture is tried before the first is classified: a bad one then costs nothing. Kept in
    # memory they would fill it.
    for path in paths:
        _require_file(path)
        decode_or_refuse(path, key="image")
    classifier = _fetch_classifier(options)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    taken: Counter[str] = Counter()
    for path in paths:
        picture = decode_or_refuse(path, key="image")
        predictions = classifier.classify(picture)[: options.top]
        answer = ", ".join(f"{each.name} {each.probability:.1%}" for each in predictions)
        print(f"{printable(str(path))}: {answer}")
        # File systems allow 255 bytes for a name.
        stem = printable(path.stem).encode()[:200].decode(errors="ignore")
        # cat/1.png and dog/1.png are two pictures.
        taken[stem] += 1
        number = f"-{taken[stem]}" if taken[stem] > 1 else ""
        print(f"  {_save(picture, predictions, folder / f'{stem}{number}-predicted.png')}")


def _require_file(path: Path) -> None:
    if path.is_dir():
        problem = f"is a folder; name the pictures in it: {path / '*.jpg'}"
        raise ConfigError("image", path, problem)
    if not path.exists():
        raise ConfigError("image", path, "there is no such file")


def _fetch_classifier(options: Options) -> Classifier:
    client = open_store(store_uri(options.tracking_uri))
    found = find_job_run(client, options.run)
    with tempfile.TemporaryDirectory() as folder:
        weights = fetch_weights(client, found, Path(folder), key="run", value=options.run)
        return load_classifier(weights, resolve_device(options.device))


def _save(picture: Image.Image, predictions: list[Prediction], path: Path) -> Path:
    bars = [(each.name, each.probability) for each in predictions]
    plot_prediction(picture, bars).savefig(path)
    return path


if __name__ == "__main__":
    run(main, Options, __doc__)
