"""Pictures classified with a finished run's model."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Sweep, config_of
from transfer.data import DataSets
from transfer.report.figures.prediction import plot_prediction


@pytest.fixture
def picture(sweep: Sweep) -> str:
    digit = DataSets().load(config_of("data=digits").data, 32).test.images[0]
    Image.fromarray(np.array(digit.permute(1, 2, 0))).save(sweep.workplace.folder / "digit.png")
    return "digit.png"


def test_prints_classes_with_probabilities_and_keeps_the_picture(
    sweep: Sweep, picture: str
) -> None:
    process = sweep.workplace.run("experiments/predict.py", "run=latest", picture, "top=10")
    assert process.returncode == 0, process.stderr
    predictions = re.findall(r"(\d) (\d+\.\d)%", process.stdout)
    assert sorted(name for name, _ in predictions) == list("0123456789")
    shares = [float(share) for _, share in predictions]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.5)
    with Image.open(sweep.workplace.folder / "predictions" / "digit-predicted.png") as annotated:
        assert annotated.width > 500


def test_pictures_of_one_name_and_of_odd_names_are_all_kept(sweep: Sweep, picture: str) -> None:
    (sweep.workplace.folder / "other").mkdir()
    long, raw = f"{'é' * 120}.png", b"\xff\n.png".decode(errors="surrogateescape")
    names = [picture, f"other/{picture}", "-x.png", long, raw]
    for name in names[1:]:
        shutil.copy(sweep.workplace.folder / picture, sweep.workplace.folder / name)
    process = sweep.workplace.run("experiments/predict.py", "run=latest", *names, "out=both")
    assert process.returncode == 0, process.stderr
    lines = process.stdout.splitlines()
    assert len(lines) == 2 * len(names)
    assert lines[-2].startswith(r"\udcff\n.png: ")
    kept = {sweep.workplace.folder / line.strip() for line in lines[1::2]}
    assert kept == set((sweep.workplace.folder / "both").iterdir())
    assert len(kept) == len(names)


def test_a_class_named_like_a_formula_is_drawn(tmp_path: Path) -> None:
    bars = [("$$E=mc^2$$", 0.9), ("$\\frac$", 0.1)]
    plot_prediction(Image.new("RGB", (20, 20)), bars).savefig(tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 0


def test_the_same_class_as_in_the_saved_predictions(sweep: Sweep, picture: str) -> None:
    [run, *_] = [run for run in sweep.workplace.runs() if "resnet18-freeze0" in run.info.run_name]
    process = sweep.workplace.run("experiments/predict.py", f"run={run.info.run_id}", picture)
    saved = np.load(f"{run.data.tags['hydra.output_dir']}/predictions.npz")
    assert f"digit.png: {saved['logits'][0].argmax()} " in process.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run=latest"], "name at least one picture"),
        (["run=latest", "nothing.png"], "nothing.png: there is no such file"),
        (["run=latest", "."], "image=.: is a folder; name the pictures in it: *.jpg"),
        (["run=0123", "digit.png"], "run=0123: the store has no run of this id"),
        (["run=latest", "digit.png", "top=x"], "top=x"),
    ],
)
def test_what_cannot_be_is_one_line(
    sweep: Sweep, picture: str, arguments: list[str], words: str
) -> None:
    process = sweep.workplace.run("experiments/predict.py", *arguments)
    assert process.returncode == 2
    assert words in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1


def test_a_sweep_has_no_weights(sweep: Sweep, picture: str) -> None:
    [parent] = [run for run in sweep.workplace.runs() if "mlflow.parentRunId" not in run.data.tags]
    process = sweep.workplace.run("experiments/predict.py", f"run={parent.info.run_id}", picture)
    assert process.returncode == 2
    assert "this is a sweep" in process.stderr
