"""Turn the network of a finished run into files that run without this project: ONNX or
torch.export's pt2, in float32 or int8, checked against torch, tested and timed.

    python experiments/export.py run=<id>|best|latest [to=onnx,pt2] [int8=true] [softmax=false]
    python experiments/export.py sweep=latest [rows=front|all] to=onnx int8=true
    python experiments/export.py run=best register=NAME

Each file has a card beside it, of the same name with .json. What was measured is kept with the run,
and the report shows it.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from experiments.arguments import STORE, option, run
from experiments.export_words import fault_of, numbers_of, told_of
from transfer.compare.forms import accuracy_change
from transfer.compare.networks_to_use import networks_to_use
from transfer.compare.statistics import wilson_interval
from transfer.data import ImageData
from transfer.data.image_data import Split
from transfer.deploy.card import write_card
from transfer.deploy.classifier import Classifier, load_classifier
from transfer.deploy.description import Description
from transfer.deploy.mlflow_model import save_served_model
from transfer.deploy.packages import EXPORT, require_packages
from transfer.deploy.quantize import CALIBRATION_IMAGES
from transfer.deploy.timing import NotTimedError, time_form, usable_cores
from transfer.deploy.write import Written, all_scores, write_forms
from transfer.evaluate.metrics import evaluate_logits
from transfer.report.write import EQUIVALENT_WITHIN
from transfer.system.disk import disk_fault
from transfer.system.errors import ConfigError, printable
from transfer.system.other_jobs import OtherJobs
from transfer.tracking.artifacts import Predictions, read_predictions
from transfer.tracking.find import RunRecord, fetch_artifact, find_job_run
from transfer.tracking.forms import FormMeasures, log_form
from transfer.tracking.kept_weights import fetch_weights
from transfer.tracking.registry import register, require_name
from transfer.tracking.run_images import fetch_images
from transfer.tracking.selection import select
from transfer.tracking.store import Client, open_store, store_uri


@dataclass
class Options:
    run: str | None = option(
        None,
        "id of a finished run; latest; or best: the network that the report on sweep says to take,"
        " which is the default",
    )
    sweep: str | None = option(
        None, "latest, <date>/<time> as below multirun/, or an id: export its networks"
    )
    rows: str | None = option(
        None,
        "which configurations of sweep, or of the latest: front, those on the front of accuracy"
        " against multiply-accumulates, as with sweep alone, or all",
    )
    to: str = option("onnx", "onnx, pt2 or onnx,pt2")
    int8: str = option("false", "true: ONNX in int8 as well")
    softmax: str = option("true", "true: files give probabilities; false: logits")
    out: str | None = option(None, "folder for the files; default: exports/<run>/")
    time: str = option("true", "true: measure latency and memory, of torch's own as well")
    threads: int = option(0, "that files are timed with; 0: one a core")
    register: str | None = option(
        None,
        "name in MLflow's model registry: the ONNX file, with int8=true that in int8, goes there",
    )
    equivalent_within: float = option(
        100 * EQUIVALENT_WITHIN, "points of accuracy; less is called equivalent"
    )
    tracking_uri: str | None = option(None, STORE)


def main(options: Options) -> None:
    forms = _forms(options)
    if "onnx" in forms:
        require_packages(*EXPORT, key="to", value=options.to)
    client = open_store(store_uri(options.tracking_uri))
    runs = _runs(client, options)
    if options.register is not None and len(runs) > 1:
        raise ConfigError("register", options.register, "takes one network; name it with run=")
    failed = []
    for each in runs:
        folder = _folder(options, each, alone=len(runs) == 1)
        try:
            _export(client, each, forms, folder, options)
        except ConfigError as error:
            if len(runs) == 1:
                raise
            # The other networks may well be exported.
            print(f"{printable(each.name)} ({each.id}): {error}", file=sys.stderr)
            failed.append(each)
        except Exception as error:
            # Libraries raise errors of their own for a full disk.
            if (fault := disk_fault(error)) is None:
                raise
            print(f"{fault}: {printable(str(folder))}; what is there is whole", file=sys.stderr)
            sys.exit(1)
    if failed:
        print(f"{len(failed)} of {len(runs)} networks were not exported as asked", file=sys.stderr)
        sys.exit(2)


def _forms(options: Options) -> list[str]:
    """What is asked for, as keys of FORMS, the float32 ones first."""
    forms = options.to.split(",")
    if not set(forms) <= {"onnx", "pt2"}:
        raise ConfigError("to", options.to, "choose from onnx, pt2, or both with a comma between")
    for key in ("int8", "softmax", "time"):
        if getattr(options, key) not in ("true", "false"):
            raise ConfigError(key, getattr(options, key), "choose from true, false")
    if options.rows not in (None, "front", "all"):
        raise ConfigError("rows", options.rows, "choose from front, all")
    if options.rows is not None and options.run is not None:
        problem = f"chooses among the networks of a sweep; run={options.run} names one already"
        raise ConfigError("rows", options.rows, problem)
    if options.threads < 0:
        raise ConfigError("threads", options.threads, "must be at least 0")
    if not 0 < options.equivalent_within < 100:
        problem = "must be above 0 and below 100: points of accuracy, such as 1"
        raise ConfigError("equivalent_within", f"{options.equivalent_within:g}", problem)
    if options.int8 == "true" and "onnx" not in forms:
        raise ConfigError("int8", "true", "only ONNX files are quantised; take to=onnx")
    if options.register is not None:
        require_name(options.register)
        if "onnx" not in forms:
            raise ConfigError("register", options.register, "takes an ONNX file; take to=onnx")
    return [*dict.fromkeys(forms), *(["onnx_int8"] if options.int8 == "true" else [])]


def _runs(client: Client, options: Options) -> list[RunRecord]:
    if options.run not in (None, "best"):
        if options.sweep is not None:
            raise ConfigError("sweep", options.sweep, f"run={options.run} names a run already")
        return [find_job_run(client, options.run)]
    sweep = options.sweep or "latest"
    # Whoever asks for several means those of the latest.
    several = options.run is None and (options.sweep is not None or options.rows is not None)
    which = (options.rows or "front") if several else "best"
    found = networks_to_use(select(client, sweep).runs, which)
    if not found:
        raise ConfigError("sweep", sweep, "none of its runs has finished")
    return found


def _folder(options: Options, record: RunRecord, *, alone: bool) -> Path:
    # Somebody may have given it another name in MLflow's pages.
    name = f"{printable(record.name).replace('/', '-')}-{record.id[:8]}"
    folder = Path(options.out) if options.out else Path("exports")
    if not (options.out and alone):
        folder /= name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"the folder {folder} cannot be made ({error.strerror}); name another place"
        raise ConfigError("out", options.out or "exports", problem) from error
    return folder


def _export(
    client: Client, record: RunRecord, forms: Sequence[str], folder: Path, options: Options
) -> None:
    """Write, test, time and log the forms of one run, and register the last ONNX file of them."""
    registered = [form for form in forms if form.startswith("onnx")][-1:]
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
        description = _describe(record, classifier, softmax=options.softmax == "true")
        with OtherJobs() as others:
            if options.time == "true":
                _time_torch(client, record, weights, options, others)
            for written in write_forms(classifier, description, data, forms, folder):
                measures = _measure(written, data, answers, options, others)
                log_form(client, record, written.form, measures)
                card = _card(written, measures, record, data)
                write_card(written.path, card)
                print("\n".join(told_of(written, measures, options.equivalent_within)))
                if options.register is not None and written.form in registered:
                    fault = fault_of(written, measures, options.equivalent_within)
                    name = options.register
                    print(_register(client, record, written, data.val, name=name, fault=fault))


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
    client: Client, record: RunRecord, weights: Path, options: Options, others: OtherJobs
) -> None:
    """Log what torch's own network takes where the files are timed, to compare with."""
    timed = _time(weights, options, others)
    size, acc = weights.stat().st_size / 1e6, record.metrics["test/acc"]
    measures = FormMeasures(size_mb=size, acc=acc, **timed)
    log_form(client, record, "torch", measures)
    print(f"torch itself: {numbers_of(measures)}")


def _time(path: Path, options: Options, others: OtherJobs) -> dict[str, float]:
    """What a file's passes take; nothing where they cannot be timed, which is said."""
    try:
        timed = time_form(path, options.threads or usable_cores())
    except NotTimedError as error:
        print(error, file=sys.stderr)
        return {}
    return timed | {"other_jobs": others.most()}


def _measure(
    written: Written, data: ImageData, parent: Predictions, options: Options, others: OtherJobs
) -> FormMeasures:
    """What the file is like, its accuracy that of the whole test set."""
    logits, labels = _logits(written, data.test), data.test.labels.numpy()
    answers = Predictions.of_logits(logits.numpy(), labels, data.classes)
    if answers.labels.tobytes() != parent.labels.tobytes():
        problem = "its kept answers are to other images than those that are here"
        raise ConfigError("run", written.classifier.description.run_id, problem)
    timed = _time(written.path, options, others) if options.time == "true" else {}
    size = written.path.stat().st_size / 1e6
    return FormMeasures(size_mb=size, **accuracy_change(parent, answers), **timed)


def _logits(written: Written, split: Split) -> Tensor:
    scores = all_scores(written.classifier, split, written.path.name)
    if written.classifier.description.output == "logits":
        return scores
    # Quantised, some are 0.
    return scores.clamp(min=1e-12).log()


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
        "timed": "latency_ms" in measures.known(),
        "measures": measures.known(),
    }
    if written.form == "onnx_int8":
        card["calibration_images"] = min(CALIBRATION_IMAGES, len(data.train))
    return card


def _register(
    client: Client, record: RunRecord, written: Written, val: Split, *, name: str, fault: str
) -> str:
    found = evaluate_logits(_logits(written, val), val.labels)
    validation = {
        "acc": found.accuracy,
        "balanced_acc": found.balanced_accuracy,
        "loss": found.loss,
    }
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        save_served_model(written.path, written.classifier.description, model)
        card = json.loads((model / "card.json").read_text(encoding="utf-8"))
        told = register(client, record, model, name, card, validation=validation, fault=fault)
        return str(told)


if __name__ == "__main__":
    run(main, Options, __doc__)
