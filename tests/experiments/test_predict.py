"""Pictures classified with a finished run's model."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from PIL import Image
from scipy.special import softmax

from experiments import predict
from experiments.arguments import run
from tests.conftest import Sweep, config_of, files_up_to
from transfer.data import DataSets
from transfer.report.figures.prediction import plot_prediction
from transfer.system import interrupt

Predict = Callable[..., int]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where digit.png is, and 40 test images in digits/."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "digits").mkdir()
    images = DataSets().load(config_of("data=digits").data, 32).test.images
    for number, image in enumerate(images[:40]):
        digit = Image.fromarray(image.permute(1, 2, 0).numpy())
        digit.save(folder / "digits" / f"{number:02}.png")
    shutil.copy(folder / "digits" / "00.png", folder / "digit.png")
    return folder


@pytest.fixture
def predict_here(sweep: Sweep, place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Predict]:
    """predict.py in this process, as it is typed; gives the exit code."""
    handlers = {number: signal.getsignal(number) for number in interrupt.SIGNALS}
    monkeypatch.setattr(interrupt, "_state", interrupt._State())
    monkeypatch.chdir(place)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sweep.workplace.store)

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["predict.py", *arguments])
        try:
            run(predict.main, predict.Options, predict.__doc__)
        except SystemExit as left:
            return int(left.code or 0)
        return 0

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _run(sweep: Sweep, name: str) -> Run:
    [found] = [run for run in sweep.workplace.runs() if run.info.run_name == name]
    return found


def test_a_folder_becomes_a_table_of_what_the_evaluation_found(sweep: Sweep, place: Path) -> None:
    shutil.copytree(place / "digits", place / "mixed" / "deep")
    (place / "mixed" / "deep" / "07.png").write_bytes(b"no picture")
    (place / "mixed" / "notes.txt").write_text("x")
    used = _run(sweep, "mobilenet_v3_small-freeze0-seed0")
    process = replace(sweep.workplace, folder=place).run(
        *("experiments/predict.py", f"run={used.info.run_id}", "mixed", "out=new/answers.csv"),
        *("top=10", "batch_size=16"),
    )
    assert process.returncode == 1 and process.stdout == ""
    first, *others = process.stderr.splitlines()
    assert first.startswith(f"run {used.info.run_id} (mobilenet_v3_small-freeze0-seed0): 10 cl")
    precision = used.data.params["precision"]
    assert first.endswith(f"at 32 px; {used.data.params['device']}, {precision}")
    assert others == [
        "left out what is no image by its name: 1 .txt",
        "image=mixed/deep/07.png: cannot be read (not a JPEG, PNG, GIF, BMP, TIFF, WebP or PPM "
        "image, or its header is damaged); repair or remove this file",
        "1 of 40 pictures cannot be read; 39 of 40 pictures are in new/answers.csv",
    ]
    assert not (place / "predictions").exists()
    table = pd.read_csv(place / "new" / "answers.csv")
    assert list(table["file"]) == [f"mixed/deep/{n:02}.png" for n in range(40) if n != 7]
    logits = np.load(f"{used.data.tags['hydra.output_dir']}/predictions.npz")["logits"]
    expected = softmax(np.delete(logits[:40], 7, axis=0), axis=1)
    ranks = ["", *(f" {rank}" for rank in range(2, 11))]
    classes = table[[f"class{rank}" for rank in ranks]].to_numpy()
    shares = table[[f"probability{rank}" for rank in ranks]].to_numpy()
    assert (np.diff(shares) <= 0).all()
    found = np.take_along_axis(shares, classes.argsort(axis=1), axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5 if precision == "float32" else 0.02)


def test_a_handful_is_printed_and_drawn(
    predict_here: Predict, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "other").mkdir()
    long, raw = f"{'é' * 120}.png", b"\xff\n.png".decode(errors="surrogateescape")
    odd = ["-x.png", long, "a b=[1] 图片.png", raw]
    names = ["digit.png", "other/digit.png", *odd]
    for name in names[1:]:
        shutil.copy(place / "digit.png", place / name)
    assert predict_here("run=latest", *names, "top=10") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(names)
    assert lines[-2].startswith(r"\udcff\n.png: ")
    predictions = re.findall(r"(\d) (\d+\.\d)%", lines[0])
    assert sorted(name for name, _ in predictions) == list("0123456789")
    assert sum(float(share) for _, share in predictions) == pytest.approx(100, abs=0.5)
    kept = {place / line.strip() for line in lines[1::2]}
    assert kept == set((place / "predictions").iterdir())
    assert len(kept) == len(names)
    with Image.open(place / "predictions" / "digit-predicted.png") as annotated:
        assert annotated.width > 500
    # What was drawn is no picture to predict.
    (place / "predictions" / "real.png").write_bytes((place / "digit.png").read_bytes())
    assert predict_here("predictions", "draw=none") == 0
    seen = capsys.readouterr()
    assert seen.out.startswith("predictions/real.png: ") and seen.out.count("\n") == 1
    assert f"left out what is no image by its name: {len(names)} -predicted.png" in seen.err


def test_many_are_printed_and_drawn_only_if_asked(
    predict_here: Predict, sweep: Sweep, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = _run(sweep, "resnet18-freeze0-seed0")
    shutil.rmtree(place / "predictions", ignore_errors=True)
    assert predict_here(f"run={used.info.run_id}", "digits") == 0
    seen = capsys.readouterr()
    lines = seen.out.splitlines()
    logits = np.load(f"{used.data.tags['hydra.output_dir']}/predictions.npz")["logits"]
    for number, line in enumerate(lines):
        assert line.startswith(f"digits/{number:02}.png: {logits[number].argmax()} ")
    assert len(lines) == 40 and not (place / "predictions").exists()
    assert seen.err.count("\n") == 1 and used.data.params["precision"] in seen.err
    assert predict_here("digit.png", "out=one.json", "draw=drawn", "precision=float32") == 0
    assert [each.name for each in (place / "drawn").iterdir()] == ["digit-predicted.png"]
    assert ", float32\n" in capsys.readouterr().err


def test_folders_with_the_names_of_classes_are_an_evaluation(
    predict_here: Predict, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, number in (("3", "00"), ("7", "01"), ("7", "02")):
        (place / "sorted" / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(place / "digits" / f"{number}.png", place / "sorted" / name)
    assert predict_here("sorted", "out=sorted.csv") == 0
    table = pd.read_csv(place / "sorted.csv")
    assert list(table["true class"]) == [3, 7, 7]
    right = (table["true class"] == table["class"]).sum()
    words = f"by the names of their folders, {right} of 3 answers ({right / 3:.1%}) are right"
    assert words in capsys.readouterr().err
    # One folder that is no class, and it is none.
    shutil.copytree(place / "sorted" / "3", place / "sorted" / "unknown")
    assert predict_here("sorted", "out=unsorted.csv") == 0
    assert "true class" not in pd.read_csv(place / "unsorted.csv")
    assert "are right" not in capsys.readouterr().err


def test_not_one_readable_picture_leaves_no_table(
    predict_here: Predict, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one.jpg", "two.jpg"):
        (place / name).write_bytes(b"x")
    assert predict_here("one.jpg", "two.jpg", "out=none.csv") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "2 of 2 pictures cannot be read; no answer"
    assert [line.split(":")[0] for line in lines[1:3]] == ["image=one.jpg", "image=two.jpg"]
    assert not (place / "none.csv").exists()


@pytest.mark.parametrize("name", ["interrupted.csv", "interrupted.json"])
def test_an_interruption_keeps_what_was_done(
    predict_here: Predict, place: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    out = place / name

    def interrupt_after_some() -> None:
        while not out.exists() or out.read_text().count("\n") < 5:
            time.sleep(0.002)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt_after_some)
    thread.start()
    code = predict_here(*["digits"] * 50, f"out={name}", "batch_size=1")
    thread.join()
    assert code == 130
    rows = (pd.read_csv if name.endswith("csv") else pd.read_json)(out)
    # Two lines of a table in JSON are its brackets.
    assert 3 <= len(rows) < 2000
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"interrupted: {len(rows):,} of 2,000 pictures are in {name}"


def test_a_reader_that_has_enough_ends_it(
    predict_here: Predict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", buffering=1) as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert predict_here("digits") == 128 + signal.SIGPIPE
    assert capsys.readouterr().err.count("\n") == 1


def test_a_full_disk_is_one_line(
    predict_here: Predict, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with files_up_to(1000):
        assert predict_here("digits", "out=full.csv") == 1
    last = capsys.readouterr().err.splitlines()[-1]
    found = re.fullmatch(r"File too large: (\d+) of 40 pictures are in full.csv", last)
    assert found is not None
    # The header, and what was on its way when the disk was full.
    assert (place / "full.csv").read_text().count("\n") - 1 == int(found[1]) > 3


def test_a_class_named_like_a_formula_is_drawn(tmp_path: Path) -> None:
    bars = [("$$E=mc^2$$", 0.9), ("$\\frac$", 0.1)]
    plot_prediction(Image.new("RGB", (20, 20)), bars).savefig(tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run=latest"], "image=: name at least one picture"),
        (["nothing.png"], "image=nothing.png: there is no such file"),
        (["digit.png", "tope=1"], "image=tope=1: there is no such file, and no such key; the keys"),
        (["digit.png", "empty"], "image=empty: holds no image (.jpg, "),
        (["digit.png", "run=0123"], "run=0123: the store has no run of this id"),
        (["digit.png", "top=x"], "top=x"),
        (["digit.png", "top=0"], "top=0: must be at least 1"),
        (["digit.png", "batch_size=-1"], "batch_size=-1: must be at least 0"),
        (["digit.png", "precision=half"], "precision=half: choose from run, float32, bfloat16"),
        (["digit.png", "out=answers"], "out=answers: must end in .csv or .json, which says what"),
        (["digit.png", "out=there.csv"], "out=there.csv: there is such a file already; remove"),
        (
            ["digit.png", "out=there.csv/new.csv"],
            "out=there.csv/new.csv: the folder there.csv cannot be made (File exists); name",
        ),
        (
            ["digit.png", "draw=there.csv/new"],
            "draw=there.csv/new: the folder there.csv/new cannot be made (Not a directory); name",
        ),
    ],
)
def test_what_cannot_be_is_one_line(
    predict_here: Predict,
    place: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    (place / "empty").mkdir(exist_ok=True)
    (place / "there.csv").write_text("kept")
    assert predict_here(*arguments) == 2
    seen = capsys.readouterr()
    assert seen.err.startswith(words) and seen.err.count("\n") == 1 and seen.out == ""
    assert (place / "there.csv").read_text() == "kept"


def test_best_is_what_the_report_says_to_take(
    predict_here: Predict, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict_here("run=best", "digit.png", "draw=none") == 0
    [used] = re.findall(r"^run \w+ \((\S+)-freeze(\d)-seed0\)", capsys.readouterr().err)
    report = (sweep.folder / "report.md").read_text()
    [taken] = re.findall(r"Take `(\S+) .*freeze_epochs=(\d)", report)
    assert used == taken


def test_a_store_without_a_sweep_has_no_best(
    predict_here: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict_here("run=best", "digit.png", f"tracking_uri=sqlite:///{tmp_path}/new.db") == 2
    told = "run=best: there is no sweep in the store; take latest, or the id of a run\n"
    assert capsys.readouterr().err == told


def test_a_sweep_has_no_weights(
    predict_here: Predict, sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    [parent] = [run for run in sweep.workplace.runs() if "mlflow.parentRunId" not in run.data.tags]
    assert predict_here(f"run={parent.info.run_id}", "digit.png") == 2
    assert "this is a sweep" in capsys.readouterr().err
