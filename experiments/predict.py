"""Classify pictures with the model of a finished run, or with an exported one.

    python experiments/predict.py run=<id>|best|latest image.png folder … [top=3] [out=answers.csv]
    python experiments/predict.py run=exports/<run>/model.onnx image.png folder …

Folders are searched with all that is below them. A file that cannot be read is told in one line;
the others are classified, and the exit code is 1.
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from experiments.arguments import STORE, option, run
from transfer.data.decode import decode_or_refuse
from transfer.data.pictures import find_pictures
from transfer.deploy.classifier import PictureClassifier, load_classifier
from transfer.deploy.classify import Answer, classify_files
from transfer.deploy.exported import load_exported
from transfer.deploy.table import SUFFIXES, Write, open_table
from transfer.evaluate.metrics import evaluation_batch_size
from transfer.report.figures.prediction import plot_prediction
from transfer.system import interrupt
from transfer.system.device import is_out_of_memory, keep_freed_memory, resolve_device
from transfer.system.disk import disk_fault
from transfer.system.errors import ConfigError, printable
from transfer.tracking.find import find_job_run
from transfer.tracking.kept_weights import fetch_weights
from transfer.tracking.store import open_store, store_uri

_ANNOTATED = "-predicted.png"
# More take longer to draw than to classify, and than anybody looks at.
_HANDFUL = 10
# What a shell says of a program that SIGPIPE ended.
_NO_READER = 141


@dataclass
class Options:
    images: list[str]
    run: str = option(
        "latest",
        "id of a finished run; latest, which started last; best, which the report on the latest"
        " sweep says to take; or an exported file, .onnx",
    )
    top: int = option(3, "classes of a picture, the most probable first")
    out: str | None = option(None, "file for the answers, .csv or .json; default: they are printed")
    draw: str = option(
        "auto",
        f"folder for annotated pictures; auto: predictions, for {_HANDFUL} pictures at most and"
        " without out; none: none are drawn",
    )
    batch_size: int = option(0, "pictures at a time; 0: as many as in an evaluation")
    device: str = option("auto", "auto, cpu, cuda, mps")
    precision: str = option("run", "run, as it was evaluated, or float32 or bfloat16")
    tracking_uri: str | None = option(None, STORE)


@dataclass
class _Progress:
    """What has become of `total` pictures: how many were answered, into the file `out` if not None;
    how many cannot be read; and how many lie in the folder of their class."""

    total: int
    out: str | None
    answered: int = 0
    unread: int = 0
    right: int = 0

    def __str__(self) -> str:
        where = "answered" if self.out is None else f"in {printable(self.out)}"
        are = "is" if self.answered == 1 else "are"
        return f"{self.answered:,} of {self.total:,} pictures {are} {where}"


def main(options: Options) -> None:
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that does not know a name's letters shows escapes.
        sys.stdout.reconfigure(errors="backslashreplace")
    _check(options)
    pictures = find_pictures([Path(image) for image in options.images], _ANNOTATED)
    folder = _folder_for_drawings(options, pictures.count)
    classifier = _fetch_classifier(options)
    keep_freed_memory()
    if line := pictures.left_out_line():
        print(line, file=sys.stderr)
    size = options.batch_size or evaluation_batch_size(classifier.image_size)
    progress = _Progress(pictures.count, options.out)
    interrupt.listen("stopped")
    with _ends_explained(progress, size):
        answers = classify_files(classifier, pictures, top=options.top, batch_size=size)
        # As data sets of class folders have it.
        labelled = len(pictures.folders) > 1 and pictures.folders <= set(classifier.classes)
        with closing(answers), _writer(options, classifier, labelled) as write:
            _give(answers, write, folder, progress, labelled=labelled)
    _say_what_was_done(progress, labelled=labelled)
    if progress.unread:
        sys.exit(1)


def _say_what_was_done(progress: _Progress, *, labelled: bool) -> None:
    lines = []
    if labelled and progress.answered:
        share = progress.right / progress.answered
        right = f"{progress.right:,} of {progress.answered:,} answers ({share:.1%}) are right"
        lines.append(f"by the names of their folders, {right}")
    if progress.unread:
        unread = f"{progress.unread:,} of {progress.total:,} pictures cannot be read"
        lines.append(f"{unread}; {progress if progress.answered else 'no answer'}")
    elif progress.out is not None:
        lines.append(str(progress))
    for line in lines:
        print(line, file=sys.stderr)


def _check(options: Options) -> None:
    if not options.images:
        raise ConfigError("image", "", "name at least one picture: predict.py run=<id> image.png")
    for image in options.images:
        if "=" in image and not os.path.lexists(image):
            keys = ", ".join(key for key in vars(options) if key != "images")
            problem = f"there is no such file, and no such key; the keys are {keys}"
            raise ConfigError("image", image, problem)
    for key, least in (("top", 1), ("batch_size", 0)):
        if getattr(options, key) < least:
            raise ConfigError(key, getattr(options, key), f"must be at least {least}")
    if options.precision not in ("run", "float32", "bfloat16"):
        problem = "choose from run, float32, bfloat16"
        raise ConfigError("precision", options.precision, problem)
    if options.out is None:
        return
    if Path(options.out).suffix.lower() not in SUFFIXES:
        problem = f"must end in {' or '.join(SUFFIXES)}, which says what is written"
        otherwise = f"a folder for annotated pictures is named with draw={options.out}"
        raise ConfigError("out", options.out, f"{problem}; {otherwise}")
    if os.path.lexists(options.out):
        problem = "there is such a file already; remove it, or name another"
        raise ConfigError("out", options.out, problem)
    _make_folder("out", options.out, Path(options.out).parent)


def _folder_for_drawings(options: Options, pictures: int) -> Path | None:
    few = options.out is None and pictures <= _HANDFUL
    if options.draw == "none" or (options.draw == "auto" and not few):
        return None
    folder = "predictions" if options.draw == "auto" else options.draw
    return _make_folder("draw", folder, Path(folder))


def _make_folder(key: str, value: str, folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the folder {folder} cannot be made ({error.strerror}); name another place"
        raise ConfigError(key, value, problem) from error
    if not os.access(folder, os.W_OK):
        problem = f"the folder {folder} cannot be written to; name another place"
        raise ConfigError(key, value, problem)
    return folder


def _fetch_classifier(options: Options) -> PictureClassifier:
    """The run's network, or the file's; says which one that is."""
    if Path(options.run).suffix.lower() in (".onnx", ".pt2"):
        return _read_exported(options)
    client = open_store(store_uri(options.tracking_uri))
    if options.run == "best":
        # With scipy and pandas, which nothing else here needs.
        from transfer.compare.networks_to_use import network_to_take

        found = network_to_take(client, key="run", value="best")
    else:
        found = find_job_run(client, options.run)
    device = resolve_device(options.device)
    precision = options.precision
    if precision == "run":
        precision = found.params.get("precision", "float32")
    with tempfile.TemporaryDirectory() as folder:
        weights = fetch_weights(client, found, Path(folder), key="run", value=options.run)
        classifier = load_classifier(weights, device, precision)
    classes = f"{len(classifier.classes)} classes at {classifier.image_size} px"
    print(f"run {found.id} ({found.name}): {classes}; {device}, {precision}", file=sys.stderr)
    return classifier


def _read_exported(options: Options) -> PictureClassifier:
    for key, default in (("device", ("auto", "cpu")), ("precision", ("run",))):
        if (value := getattr(options, key)) not in default:
            problem = f"an exported file computes on the CPU, as it was written; leave {key} out"
            raise ConfigError(key, value, problem)
    exported = load_exported(Path(options.run), key="run")
    description = exported.description
    classes = f"{len(exported.classes)} classes at {exported.image_size} px"
    origin = f"run {description.run_id} ({description.run_name})"
    line = f"{options.run}, of {origin}: {classes}; cpu, {description.numbers}"
    print(printable(line), file=sys.stderr)
    return exported


def _writer(
    options: Options, classifier: PictureClassifier, labelled: bool
) -> AbstractContextManager[Write]:
    """What takes an answer and its true class: a table, or the standard output."""
    if options.out is not None:
        top = min(options.top, len(classifier.classes))
        return open_table(Path(options.out), top, labelled=labelled)

    def write(answer: Answer, true_class: str | None) -> None:
        shares = ", ".join(
            f"{printable(each.name)} {each.probability:.1%}" for each in answer.predictions
        )
        _print(f"{printable(str(answer.path))}: {shares}", sys.stdout)

    return nullcontext(write)


def _give(
    answers: Iterator[Answer],
    write: Write,
    folder: Path | None,
    progress: _Progress,
    *,
    labelled: bool,
) -> None:
    draw = None if folder is None else _drawer(folder)
    for answer in tqdm(answers, "classifying", progress.total, leave=False, disable=None):
        if answer.refusal is not None:
            _print(str(answer.refusal), sys.stderr)
            progress.unread += 1
            continue
        true_class = answer.path.absolute().parent.name if labelled else None
        with interrupt.deferred():
            write(answer, true_class)
            progress.answered += 1
        progress.right += answer.predictions[0].name == true_class
        if draw is not None:
            draw(answer)


def _drawer(folder: Path) -> Callable[[Answer], None]:
    """What draws the picture of an answer, and prints where."""
    taken: Counter[str] = Counter()

    def draw(answer: Answer) -> None:
        try:
            picture = decode_or_refuse(answer.path, key="image")
        except ConfigError as error:
            # It is gone since it was classified.
            _print(str(error), sys.stderr)
            return
        # File systems allow 255 bytes for a name.
        stem = printable(answer.path.stem).encode()[:200].decode(errors="ignore")
        # cat/1.png and dog/1.png are two pictures.
        taken[stem] += 1
        number = f"-{taken[stem]}" if taken[stem] > 1 else ""
        path = folder / f"{stem}{number}{_ANNOTATED}"
        bars = [(each.name, each.probability) for each in answer.predictions]
        plot_prediction(picture, bars).savefig(path)
        _print(f"  {path}", sys.stdout)

    return draw


def _print(line: str, stream: TextIO) -> None:
    # Not into the bar.
    tqdm.write(line, file=stream)


@contextmanager
def _ends_explained(progress: _Progress, batch_size: int) -> Iterator[None]:
    """Say how far it came, where something else than the last picture ends it."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"interrupted: {progress}", file=sys.stderr)
        sys.exit(interrupt.EXIT_CODE)
    except BrokenPipeError:
        # As with `predict.py … | head`: what was printed is all that was wanted. Python would try
        # to write the rest, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_NO_READER)
    except Exception as error:
        if is_out_of_memory(error) and batch_size > 1:
            problem = f"out of memory ({progress}); try batch_size={batch_size // 2}"
            raise ConfigError("batch_size", batch_size, problem) from error
        if (fault := disk_fault(error)) is None:
            raise
        print(f"{fault}: {progress}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run(main, Options, __doc__)
