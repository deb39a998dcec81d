"""The networks of finished runs as files: written, tested on the whole test set, timed; and their
runs are told what the files are like."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from transfer.compare.forms import accuracy_change
from transfer.compare.statistics import wilson_interval
from transfer.data import ImageData
from transfer.data.image_data import Split
from transfer.deploy.card import write_card
from transfer.deploy.classifier import Classifier, load_classifier
from transfer.deploy.description import Description
from transfer.deploy.quantize import CALIBRATION_IMAGES
from transfer.deploy.timing import NotTimedError, time_form, usable_cores
from transfer.deploy.write import Written, all_scores, write_forms
from transfer.sweep.export.export_words import numbers_of, told_of
from transfer.system import interrupt
from transfer.system.disk import disk_fault
from transfer.system.errors import ConfigError, first_line, is_for_people, printable
from transfer.system.other_jobs import OtherJobs
from transfer.tracking.artifacts import Predictions, read_predictions
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.forms import FormMeasures, log_form
from transfer.tracking.kept_weights import fetch_weights
from transfer.tracking.run_images import fetch_images
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import Client


@dataclass(frozen=True)
class Exporting:
    """How networks are exported.

    Attributes:
        forms: keys of FORMS in transfer.deploy.write, the float32 ones first.
        softmax: whether files give probabilities; else logits.
        timed: whether latency and memory are measured, of torch's own as well.
        threads: that files are timed with; 0: one a core.
        equivalent_within: points of accuracy; less is called equivalent.
    """

    forms: Sequence[str]
    softmax: bool = True
    timed: bool = True
    threads: int = 0
    equivalent_within: float = 1.0


@dataclass(frozen=True)
class Exported:
    """A file of a network.

    Attributes:
        measures: what it is like.
        data: the images that it was tested on.
        timed: whether it and torch's own network were, if that was asked for.
    """

    written: Written
    measures: FormMeasures
    data: ImageData
    timed: bool


def network_folder(out: Path, record: RunRecord) -> Path:
    """Where the files of a run's network go, below a folder for those of several."""
    # Somebody may have given it another name in MLflow's pages.
    return out / f"{printable(record.name).replace('/', '-')}-{record.id[:8]}"


def export_all(client: Client, runs: Sequence[RunRecord], how: Exporting, out: Path) -> int:
    """Export networks, each into a folder of its own below `out`. One that cannot be exported,
    whatever the reason, is a line, and the others are exported all the same.

    Returns:
        How many were not exported as asked.

    Raises:
        Exception: the disk is full, which it is for all of them.
    """
    failed = 0
    for record in runs:
        try:
            files = list(export_network(client, record, how, network_folder(out, record)))
            # Why not was said.
            failed += not all(each.timed for each in files)
        except Exception as error:
            # Compiled libraries make errors of their own of an interruption.
            interrupt.raise_if_requested()
            if not isinstance(error, ConfigError) and disk_fault(error) is not None:
                raise
            # What a library says of itself says more with its kind.
            kind = "" if is_for_people(error) else f"{type(error).__name__}: "
            reason = printable(f"{kind}{first_line(error)}")
            print(f"{printable(record.name)} ({record.id}): {reason}", file=sys.stderr)
            failed += 1
    return failed


def export_network(
    client: Client, record: RunRecord, how: Exporting, folder: Path
) -> Iterator[Exported]:
    """Write, test, time and log the forms of one run, one after the other; says what they are like.

    Args:
        folder: for the files and their cards; is made.

    Raises:
        ConfigError: the run's weights or images are gone, or a form cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as copies:
        weights = fetch_weights(client, record, Path(copies), key="run", value=record.id)
        classifier = load_classifier(weights, torch.device("cpu"))
        data = fetch_images(
            client, record, Path(copies), classifier.stored_size, classifier.interpolation
        )
        answers = read_predictions(fetch_artifact(client, record, "predictions.npz", Path(copies)))
        print(
            f"run {record.id} ({printable(record.name)}): {len(data.classes)} classes at "
            f"{classifier.image_size} px; {len(data.test)} test images"
        )
        description = _describe(record, classifier, softmax=how.softmax)
        with OtherJobs() as others:
            timed = not how.timed or _time_torch(client, record, weights, how, others)
            for written in write_forms(classifier, description, data, how.forms, folder):
                measures = _measure(written, data, answers, how, others)
                log_form(client, record, written.form, measures)
                write_card(written.path, _card(written, measures, record, data))
                print("\n".join(told_of(written, measures, how.equivalent_within)))
                timed &= not how.timed or _is_timed(measures)
                yield Exported(written, measures, data, timed)


def logits_of(written: Written, split: Split) -> Tensor:
    """What a file answers to the images of a split: logits, or the logarithms of probabilities,
    float32 [N, K]."""
    scores = all_scores(written.classifier, split, written.path.name)
    if written.classifier.description.output == "logits":
        return scores
    # Quantised, some are 0.
    return scores.clamp(min=1e-12).log()


def _describe(record: RunRecord, classifier: Classifier, *, softmax: bool) -> Description:
    preprocess = classifier.preprocess
    return Description(
        model=record.params["model.name"],
        run_id=record.id,
        run_name=record.name,
        classes=tuple(classifier.classes),
        image_size=classifier.image_size,
        stored_size=classifier.stored_size,
        fit=classifier.fit,
        interpolation=classifier.interpolation,
        mean=tuple(preprocess.mean.flatten().tolist()),
        std=tuple(preprocess.std.flatten().tolist()),
        output="probabilities" if softmax else "logits",
    )


def _time_torch(
    client: Client, record: RunRecord, weights: Path, how: Exporting, others: OtherJobs
) -> bool:
    """Log what torch's own network takes where the files are timed, to compare with; whether that
    could be measured."""
    timed = _time(weights, how, others)
    size, acc = weights.stat().st_size / 1e6, record.metrics["test/acc"]
    measures = FormMeasures(size_mb=size, acc=acc, **timed)
    log_form(client, record, "torch", measures)
    print(f"torch itself: {numbers_of(measures)}")
    return _is_timed(measures)


def _is_timed(measures: FormMeasures) -> bool:
    return "latency_ms" in measures.known()


def _time(path: Path, how: Exporting, others: OtherJobs) -> dict[str, float]:
    """What a file's passes take; nothing where they cannot be timed, which is said."""
    try:
        timed = time_form(path, how.threads or usable_cores())
    except NotTimedError as error:
        # A signal to all processes of a terminal ends the one that is timed.
        interrupt.raise_if_requested()
        print(error, file=sys.stderr)
        return {}
    return timed | {"other_jobs": others.most()}


def _measure(
    written: Written, data: ImageData, parent: Predictions, how: Exporting, others: OtherJobs
) -> FormMeasures:
    """What the file is like, its accuracy that of the whole test set."""
    logits, labels = logits_of(written, data.test), data.test.labels.numpy()
    answers = Predictions.of_logits(logits.numpy(), labels, data.classes)
    if answers.labels.tobytes() != parent.labels.tobytes():
        problem = "its kept answers are to other images than those that are here"
        raise ConfigError("run", written.classifier.description.run_id, problem)
    timed = _time(written.path, how, others) if how.timed else {}
    size = written.path.stat().st_size / 1e6
    return FormMeasures(size_mb=size, **accuracy_change(parent, answers), **timed)


def _card(
    written: Written, measures: FormMeasures, record: RunRecord, data: ImageData
) -> dict[str, object]:
    images = len(data.test)
    interval = wilson_interval(round(measures.acc * images), images)
    card: dict[str, object] = asdict(written.classifier.description)
    card |= {
        "data": data.name,
        "data_digest": data.digest,
        "commit": record.tags.get("mlflow.source.git.commit", "unknown"),
        "test_images": images,
        "accuracy": measures.acc,
        "accuracy_interval_95": [interval.low, interval.high],
        "accuracy_of_the_run": record.metrics["test/acc"],
        "largest_difference_from_torch": written.difference,
        "images_it_was_seen_on": written.checked,
        "timed": _is_timed(measures),
        "measures": measures.known(),
    }
    if written.form == "onnx_int8":
        card["calibration_images"] = min(CALIBRATION_IMAGES, len(data.train))
    return card
