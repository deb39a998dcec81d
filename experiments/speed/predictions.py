"""How fast picture files are classified, against the loop that is usually written for it."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import torch
from PIL import Image
from tabulate import tabulate
from torch import Tensor, nn

from experiments.speed.contest import config_of
from experiments.speed.options import Options
from experiments.speed.reference_loop import BATCH_SIZE
from experiments.speed.timing import Spread, alternate, ratios
from transfer.augment.crops import stored_size
from transfer.config import Config
from transfer.config.schema import ImageFolderConfig
from transfer.data import DataSets
from transfer.data.pictures import find_pictures
from transfer.deploy.classifier import Classifier, load_classifier, save_classifier
from transfer.deploy.classify import classify_files
from transfer.deploy.table import open_table
from transfer.evaluate.metrics import evaluation_batch_size
from transfer.models.families import build_model, family_named
from transfer.models.normalization import Normalization
from transfer.system.device import resolve_device, resolve_precision
from transfer.system.torchvision import load_torchvision

# Twenty of three thousand.
_ONE_DAMAGED_IN = 150
_CLASSES = tuple("abcdefghij")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TOP = 3
_SINGLE = "torchvision, one at a time"


def predictions_table(options: Options) -> str:
    """Pictures a second from files, some of them damaged, to a table; as a Markdown table.

    The pictures are files of the data set, or its images as PNG. The network is untrained, which
    makes no difference here.
    """
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, model in enumerate(options.model_names):
            config = config_of(f"model={model}", "weights=none", *options.overrides)
            if number == 0:
                paths = _write_pictures(config, options.images, folder)
            rows += _contest(config, paths, folder, options)
    headers = ["model", "px", "loop", "batch", "precision", "pictures/s", "times one at a time"]
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True)
    return f"{table}\n\n{len(paths):,} pictures, {len(paths) // _ONE_DAMAGED_IN} damaged."


def _contest(
    config: Config, paths: Sequence[Path], folder: Path, options: Options
) -> list[list[object]]:
    classifier = _classifier(config, folder)
    model = build_model(config.model.name, len(_CLASSES), config.image_size).eval()
    model.load_state_dict(classifier.model.state_dict())
    model.to(classifier.device)
    project = evaluation_batch_size(config.image_size)
    loops: dict[str, tuple[int, str, Callable[[Sequence[Path]], int]]] = {
        _SINGLE: (1, "float32", lambda some: _usual_loop(model, config.image_size, some, 1)),
        "torchvision, batches": (
            BATCH_SIZE,
            "float32",
            lambda some: _usual_loop(model, config.image_size, some, BATCH_SIZE),
        ),
        "predict.py": (
            project,
            classifier.precision,
            lambda some: _own_loop(classifier, some, project, folder),
        ),
    }
    for _, _, run in loops.values():
        # Compiles kernels; a whole round more would cost as much as one that counts.
        run(paths[:BATCH_SIZE])
    read: dict[str, int] = {}

    def timed(name: str) -> Callable[[], None]:
        return lambda: read.update({name: loops[name][2](paths)})

    contestants = {name: timed(name) for name in loops}
    seconds = alternate(contestants, options.rounds, classifier.device, options.clock, warm_up=0)
    assert set(read.values()) == {len(paths) - len(paths) // _ONE_DAMAGED_IN}, read
    rows: list[list[object]] = []
    for name, (batch, precision, _) in loops.items():
        rate = Spread.of([len(paths) / each for each in seconds[name]])
        times = ratios(seconds[_SINGLE], seconds[name]).text(1)
        size = config.image_size
        rows.append([config.model.name, size, name, batch, precision, rate.text(), times])
    return rows


def _classifier(config: Config, folder: Path) -> Classifier:
    """An untrained network through its file, as a run's is."""
    name, path = config.model.name, folder / "weights.safetensors"
    save_classifier(
        build_model(name, len(_CLASSES), config.image_size).state_dict(),
        path,
        model_name=name,
        image_size=config.image_size,
        classes=_CLASSES,
        stored_size=stored_size(config.image_size, config.augment.crop_scale),
        fit="crop",
        normalization=Normalization(_MEAN, _STD),
    )
    device = resolve_device(config.device)
    dense = family_named(name).is_dense(name)
    return load_classifier(path, device, resolve_precision(config.precision, device, dense=dense))


def _write_pictures(config: Config, count: int, folder: Path) -> list[Path]:
    """So many files, from all over the data set, again from its start where it has fewer."""
    paths = []
    if isinstance(config.data, ImageFolderConfig):
        there = list(find_pictures([Path(config.data.root or "")], "-predicted.png"))
        for index in range(count):
            source = there[index * max(len(there) // count, 1) % len(there)]
            paths.append(folder / f"{index}{source.suffix}")
            shutil.copyfile(source, paths[-1])
    else:
        images = DataSets().load(config.data, config.image_size).train.images
        for index in range(count):
            pixels = images[index % len(images)].permute(1, 2, 0).numpy()
            paths.append(folder / f"{index}.png")
            Image.fromarray(pixels).save(paths[-1])
    for path in paths[_ONE_DAMAGED_IN - 1 :: _ONE_DAMAGED_IN]:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    return paths


def _own_loop(classifier: Classifier, paths: Sequence[Path], batch_size: int, folder: Path) -> int:
    """What predict.py does; how many pictures it could read."""
    out, count = folder / "answers.csv", 0
    answers = classify_files(classifier, paths, top=_TOP, batch_size=batch_size)
    with closing(answers), open_table(out, _TOP, labelled=False) as write:
        for answer in answers:
            if answer.refusal is None:
                write(answer, None)
                count += 1
    out.unlink()
    return count


@torch.inference_mode()
def _usual_loop(model: nn.Module, size: int, paths: Sequence[Path], batch_size: int) -> int:
    """torchvision's transforms of a Pillow image at a time, torch's default layout, float32; how
    many pictures it could read."""
    transforms = load_torchvision().transforms
    steps = [transforms.Resize(size), transforms.CenterCrop(size), transforms.ToTensor()]
    transform = transforms.Compose([*steps, transforms.Normalize(_MEAN, _STD)])
    device = next(model.parameters()).device
    answers: list[tuple[list[float], list[int]]] = []
    batch: list[Tensor] = []

    def answer() -> None:
        if batch:
            shares = model(torch.stack(batch).to(device)).softmax(dim=1).topk(_TOP)
            answers.extend(zip(shares.values.tolist(), shares.indices.tolist(), strict=True))
            batch.clear()

    for path in paths:
        try:
            batch.append(transform(Image.open(path).convert("RGB")))
        except OSError:
            continue
        if len(batch) == batch_size:
            answer()
    answer()
    return len(answers)
