"""Networks of finished runs become files, and their runs say what the files are like."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from PIL import Image

from experiments import export
from tests.conftest import Workplace, config_of
from transfer.compare.forms import accuracy_change
from transfer.data import DataSets
from transfer.deploy.exported import open_own
from transfer.deploy.timing import NotTimedError, time_form
from transfer.deploy.write import Written
from transfer.sweep.export.export_words import fault_of
from transfer.system import interrupt
from transfer.system.errors import ConfigError
from transfer.tracking.artifacts import Predictions
from transfer.tracking.forms import FormMeasures, forms_of, log_form
from transfer.tracking.run_record import RunRecord


@dataclass(frozen=True)
class Exported:
    """A run of simple_cnn on digits, and what exporting it said."""

    workplace: Workplace
    process: CompletedProcess[str]

    @property
    def run(self) -> Run:
        [run] = [each for each in self.workplace.runs() if "seed" in each.data.params]
        return run

    @property
    def folder(self) -> Path:
        [card] = self.workplace.folder.glob("exports/*/model.onnx.json")
        return card.parent


@pytest.fixture(scope="module")
def exported(new_workplace: Callable[[], Workplace]) -> Exported:
    place = new_workplace()
    training = ("model=simple_cnn", "weights=none", "epochs=2", "freeze_epochs=0", "device=cpu")
    trained = place.run("train.py", *training, "precision=float32", "data.train_per_class=40")
    assert trained.returncode == 0, trained.stderr
    options = ("int8=true", "time=false", "register=digits")
    process = place.run("experiments/export.py", "run=latest", *options)
    return Exported(place, process)


def test_a_run_becomes_files_with_cards(exported: Exported) -> None:
    assert exported.process.returncode == 0, exported.process.stderr
    first, onnx, same, int8, costs, last = exported.process.stdout.splitlines()
    run = exported.run
    assert first.startswith(f"run {run.info.run_id} ({run.info.run_name}): 10 classes at 32 px;")
    assert onnx.startswith("exports/") and "model.onnx: 1.6 MB; " in onnx
    assert re.search(r"its outputs are torch's to within \S+, on 256 test images", same)
    assert "model.int8.onnx: 0.4 MB; " in int8
    assert re.search(
        r"int8 changes that by −?\d\.\d\d points \(95 % interval −?\d\.\d\d to \d\.\d\d\)", costs
    )
    assert last == "models:/digits/1, now champion"
    card = json.loads((exported.folder / "model.int8.onnx.json").read_text())
    assert card["run_id"] == run.info.run_id and card["calibration_images"] == 100
    assert card["classes"] == [str(digit) for digit in range(10)]
    assert (card["test_images"], card["numbers"]) == (359, "int8")
    low, high = card["accuracy_interval_95"]
    assert low < card["accuracy"] < high


def test_its_run_knows_what_the_files_are_like(exported: Exported) -> None:
    metrics = exported.run.data.metrics
    forms = forms_of(metrics)
    assert list(forms) == ["onnx", "onnx_int8"]
    assert forms["onnx"].acc == metrics["test/acc"]
    assert (forms["onnx"].acc_change, forms["onnx"].acc_change_p) == (0, 1)
    int8 = forms["onnx_int8"]
    assert int8.acc_change == pytest.approx(int8.acc - metrics["test/acc"])
    assert int8.acc_change_low < int8.acc_change < int8.acc_change_high
    assert int8.size_mb < 0.3 * forms["onnx"].size_mb


def test_a_file_is_timed_in_a_process_of_its_own(exported: Exported) -> None:
    form = FormMeasures(**time_form(exported.folder / "model.int8.onnx", threads=1))
    assert 0 < form.latency_ms <= form.latency_p90_ms
    assert 0 < form.latency_64_ms <= form.latency_64_p90_ms
    assert form.threads == 1
    if Path("/proc/self/schedstat").exists():
        assert 0 <= form.waited < 1 and math.isfinite(form.memory_mb)


def test_a_file_that_cannot_be_timed_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no network")
    with pytest.raises(NotTimedError) as refused:
        time_form(tmp_path / "model.onnx", threads=1)
    assert re.match(r"model.onnx could not be timed: .*parsing failed", str(refused.value))
    assert "\n" not in str(refused.value)


def test_its_files_answer_as_it_does(exported: Exported) -> None:
    place = exported.workplace
    (place.folder / "digits").mkdir()
    images = DataSets().load(config_of("data=digits").data, 32).test.images
    for number, image in enumerate(images[:12]):
        digit = Image.fromarray(image.permute(1, 2, 0).numpy())
        digit.save(place.folder / "digits" / f"{number:02}.png")
    tables = []
    for number, source in enumerate(["latest", str(exported.folder / "model.onnx")]):
        command = ("experiments/predict.py", f"run={source}", "digits", f"out={number}.csv")
        process = place.run(*command)
        assert process.returncode == 0, process.stderr
        tables.append(pd.read_csv(place.folder / f"{number}.csv"))
    assert process.stderr.startswith(f"{exported.folder / 'model.onnx'}, of run ")
    assert "10 classes at 32 px; cpu, float32\n" in process.stderr
    pd.testing.assert_frame_equal(tables[0], tables[1], rtol=1e-3)


def test_the_registered_one_needs_nothing_of_this_project(exported: Exported) -> None:
    """Nor torch: both are kept from being imported."""
    code = """import sys
sys.modules["transfer"] = sys.modules["torch"] = None
import mlflow, numpy
model = mlflow.pyfunc.load_model("models:/digits@champion")
print(model.predict({"images": numpy.zeros((3, 3, 32, 32), numpy.float32)})["class"].tolist())
print(model.metadata.metadata["classes"])
"""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": exported.workplace.store}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=exported.workplace.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    answers, classes = (json.loads(line.replace("'", '"')) for line in done.stdout.splitlines())
    assert len(answers) == 3 and len({*answers}) == 1 and answers[0] in classes
    [version] = exported.workplace.client.search_model_versions("name = 'digits'")
    requirements = Path(version.source.removeprefix("file://")) / "requirements.txt"
    named = {line.partition("==")[0] for line in requirements.read_text().splitlines()}
    assert named == {"mlflow", "numpy", "onnx", "onnxruntime"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run=model.pt2",), "run=model.pt2: torch reads pt2 files by pickle, which may run code"),
        (("run=model.onnx",), "run=model.onnx: cannot be read (No such file or directory)"),
        (("run=model.onnx", "device=mps"), "device=mps: an exported file computes on the CPU, as"),
        (("run=model.onnx", "precision=bfloat16"), "precision=bfloat16: an exported file computes"),
    ],
)
def test_a_file_that_cannot_be_predicted_with_is_one_line(
    exported: Exported, arguments: tuple[str, ...], words: str
) -> None:
    (exported.workplace.folder / "x.png").touch()
    process = exported.workplace.run("experiments/predict.py", "x.png", *arguments)
    assert process.returncode == 2
    assert process.stderr.startswith(words) and process.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"to": "coreml"}, "to=coreml: choose from onnx, pt2"),
        ({"to": "pt2", "int8": "true"}, "int8=true: only ONNX files are quantised; take to=onnx"),
        ({"softmax": "maybe"}, "softmax=maybe: choose from true, false"),
        ({"register": "a/b"}, "register=a/b: a name of letters, digits"),
        ({"register": "a", "to": "pt2"}, "register=a: takes an ONNX file; take to=onnx"),
        ({"rows": "some"}, "rows=some: choose from front, all"),
        ({"rows": "all", "run": "0123"}, "rows=all: chooses among the networks of a sweep; run="),
        ({"rows": "all"}, "sweep=latest: the store has no sweep yet"),
        ({"threads": -1}, "threads=-1: must be at least 0"),
        ({"equivalent_within": 0.0}, "equivalent_within=0: must be above 0"),
        ({"run": "0123", "sweep": "latest"}, "sweep=latest: run=0123 names a run already"),
        ({"run": "0123"}, "run=0123: the store has no run of this id"),
        ({}, "sweep=latest: the store has no sweep yet"),
    ],
)
def test_what_cannot_be_is_one_line(
    exported: Exported, changes: dict[str, object], words: str
) -> None:
    options = export.Options(tracking_uri=exported.workplace.store, **changes)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as refused:
        export.main(options)
    assert str(refused.value).startswith(words) and "\n" not in str(refused.value)


def test_a_file_that_is_worse_than_its_network_is_at_fault(exported: Exported) -> None:
    path = exported.folder / "model.int8.onnx"
    written = Written("onnx_int8", path, open_own(path), 0.1, 256)
    labels = np.arange(200) % 10

    def fault_of_wrong(wrong: int, equivalent_within: float = 1) -> str:
        logits = np.eye(10, dtype=np.float32)[labels]
        parent = Predictions.of_logits(logits, labels, list("0123456789"))
        logits[:wrong] = np.eye(10, dtype=np.float32)[labels[:wrong] - 1]
        answers = Predictions.of_logits(logits, labels, list("0123456789"))
        measures = FormMeasures(**accuracy_change(parent, answers))
        return fault_of(written, measures, equivalent_within)

    assert fault_of_wrong(0) == fault_of_wrong(3) == ""
    assert re.fullmatch(
        r"in int8 it is worse than its own network, by −10.00 points "
        r"\(95 % interval −14.\d\d to −5.\d\d\)",
        fault_of_wrong(20),
    )


def test_networks_that_cannot_be_exported_leave_the_others(
    exported: Exported,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    timed = FormMeasures(latency_ms=1.0, other_jobs=2.0, waited=0.5)
    log_form(exported.workplace.client, RunRecord.of(exported.run), "onnx", timed)
    record = RunRecord.of(exported.run)
    assert forms_of(record.metrics)["onnx"].disturbed
    without_weights = replace(record, name="lost", artifacts=str(tmp_path / "nowhere"))
    # What nobody thought of, as a library's own error.
    broken = replace(record, name="broken", params={})
    monkeypatch.setattr(export, "_runs", lambda *_: [without_weights, broken, record])
    # Nor does a process that cannot time the file.
    monkeypatch.setattr(sys, "executable", "/bin/false")
    options = export.Options(rows="all", out=str(tmp_path), tracking_uri=exported.workplace.store)
    with pytest.raises(SystemExit) as ended:
        export.main(options)
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith(("lost", "broken", "3 of"))]
    assert ended.value.code == 2
    assert told[0].startswith(f"lost ({record.id}): tracking.uri=")
    assert told[1] == f"broken ({record.id}): KeyError: 'model.name'"
    assert told[-1] == "3 of 3 networks were not exported as asked"
    assert "model.onnx could not be timed: its process ended with 1" in lines
    [path] = tmp_path.glob("*/model.onnx.json")
    card = json.loads(path.read_text())
    assert (card["run_id"], card["timed"]) == (record.id, False)
    assert card["measures"]["acc"] == card["accuracy"]
    # Figures of an earlier file are not taken for those of this one.
    known = forms_of(exported.run.data.metrics)["onnx"].known()
    assert known == card["measures"]

    # What a library makes an error of its own of, such as Ctrl-C, ends it for all.
    monkeypatch.setattr(interrupt, "_state", interrupt._State(requested_at=0.0))
    with pytest.raises(KeyboardInterrupt):
        export.main(options)
    assert "lost" not in capsys.readouterr().err


def test_measures_that_are_not_known_are_not_logged() -> None:
    assert FormMeasures(size_mb=1.5, other_jobs=0).known() == {"size_mb": 1.5, "other_jobs": 0}
    metrics = {"export/onnx/acc": 0.5, "export/onnx/of_later": 1.0, "test/acc": 0.4}
    assert FormMeasures(waited=0.5).disturbed and FormMeasures(other_jobs=1).disturbed
    assert not FormMeasures(waited=0.01, other_jobs=0).disturbed
    assert [*forms_of(metrics)] == ["onnx"]
    assert forms_of(metrics)["onnx"].known() == {"acc": 0.5}
