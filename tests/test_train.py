"""The main job as a user runs it: real processes, real images, a real store."""

from __future__ import annotations

import re
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import Run
from safetensors.torch import load_file

from tests.conftest import PLAIN, TIMED, TINY, Sweep, Workplace, children, config_of, write_images
from transfer.job import prepare

METRICS = {
    *("step/loss", "train/loss", "train/acc", "val/loss", "val/acc", "lr/head", "lr/backbone"),
    *("val/balanced_acc", "best/train_acc", "best/val_balanced_acc", "best/val_loss"),
    *(
        "time/epoch_s",
        "test/balanced_acc",
        "best/val_acc",
        "best/epoch",
        "test/acc",
        "test/loss",
        "test/ece",
    ),
    *("profile/params", "profile/trainable_params", "profile/macs", "profile/latency_ms"),
    *("profile/latency_p90_ms", "profile/latency_64_ms", "profile/latency_64_p90_ms"),
    *("profile/size_mb", "profile/peak_memory_mb", "time/train_s", "throughput/train_img_s"),
    *("time/other_jobs", "profile/other_jobs"),
}


def _results(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.data.metrics.items() if not name.startswith(TIMED)}


def test_the_sweep_ends_well_with_one_report(sweep: Sweep) -> None:
    assert sweep.process.returncode == 0, sweep.process.stderr
    assert f"report: {sweep.folder.relative_to(sweep.workplace.folder)}" in sweep.process.stdout
    report = (sweep.folder / "report.md").read_text()
    table = report.partition("## Cost")[2].partition("## ")[0]
    assert len(re.findall(r"^\| (resnet18|mobilenet)", table, re.MULTILINE)) == 4
    figures = re.findall(r"!\[.*\]\((.*)\)", report)
    assert len(figures) == 8
    for figure in figures:
        assert 5_000 < (sweep.folder / figure).stat().st_size < 200_000
    assert "python train.py -m model=resnet18,mobilenet_v3_small freeze_epochs=0,1" in report
    # A line an epoch and no progress bars: the output is not a terminal.
    assert len(re.findall(r"^epoch +\d", sweep.process.stdout, re.MULTILINE)) == 8
    assert "%|" not in sweep.process.stderr


def test_the_sweep_in_mlflow(sweep: Sweep) -> None:
    runs = sweep.workplace.runs()
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    jobs = children(sweep.workplace)
    assert set(jobs) == {
        f"{model}-freeze{freeze}-seed0"
        for model in ("resnet18", "mobilenet_v3_small")
        for freeze in (0, 1)
    }
    assert {run.info.status for run in runs} == {"FINISHED"}
    client = sweep.workplace.client
    kept = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert kept == {"jobs.json", "report.md", "report.html", "report.csv", "figures"}
    description = parent.data.tags["mlflow.note.content"]
    assert "## Findings" in description
    assert len(re.findall(r"^\| *\d +\| (resnet18|mobilenet)", description, re.MULTILINE)) == 4
    for run in jobs.values():
        assert run.data.tags["mlflow.note.content"].startswith(f"{run.info.run_name}: ")
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["transfer.sweep"] == parent.data.tags["transfer.sweep"]
        assert {file.path for file in client.list_artifacts(run.info.run_id)} == {
            "config.yaml",
            "curves.png",
            "examples.npz",
            "history.parquet",
            "predictions.npz",
            "weights.safetensors",
        }


def test_metric_names_are_those_of_the_contract(sweep: Sweep) -> None:
    run = next(iter(children(sweep.workplace).values()))
    assert set(run.data.metrics) == METRICS


def test_saved_predictions_give_the_test_accuracy(sweep: Sweep, tmp_path: Path) -> None:
    client = sweep.workplace.client
    for run in children(sweep.workplace).values():
        saved = np.load(
            client.download_artifacts(run.info.run_id, "predictions.npz", str(tmp_path))
        )
        accuracy = (saved["logits"].argmax(axis=1) == saved["labels"]).mean()
        assert saved["logits"].dtype == np.float32
        assert accuracy == pytest.approx(run.data.metrics["test/acc"], abs=1e-12)


def test_a_job_alone_equals_the_job_in_the_sweep(sweep: Sweep, workplace: Workplace) -> None:
    """Job 3 of the sweep, by itself, in a process of its own: the same metrics and weights."""
    alone = workplace.run("train.py", "model=mobilenet_v3_small", *TINY, from_scratch=True)
    assert alone.returncode == 0, alone.stderr
    [run] = workplace.runs()
    twin = children(sweep.workplace)["mobilenet_v3_small-freeze1-seed0"]
    assert _results(run) == _results(twin)
    assert run.data.tags["transfer.fingerprint"] == twin.data.tags["transfer.fingerprint"]
    here, there = (
        load_file(Path(each.data.tags["hydra.output_dir"]) / "weights.safetensors")
        for each in (run, twin)
    )
    assert all((here[name] == there[name]).all() for name in here)
    histories = [
        pd.read_parquet(Path(each.data.tags["hydra.output_dir"]) / "history.parquet")
        for each in (run, twin)
    ]
    losses = [history[history["metric"] == "step/loss"]["value"].tolist() for history in histories]
    assert losses[0] == losses[1]
    pictures = [
        (Path(each.data.tags["hydra.output_dir"]) / "examples.npz").read_bytes()
        for each in (run, twin)
    ]
    assert pictures[0] == pictures[1]


def test_a_failed_job_is_noted_and_the_others_go_on(workplace: Workplace) -> None:
    # Also where jobs have folders of other names, and each of them is asked for twice.
    asked = ("seed=0,0", "hydra.sweep.subdir=${model.name}/lr${optimizer.lr}-${hydra.job.num}")
    process = workplace.run(
        "train.py", "-m", *PLAIN, *TINY, *asked, "optimizer=sgd", "optimizer.lr=1e30,0.001"
    )
    assert process.returncode == 1
    assert "1 of 2 jobs failed" in process.stderr
    assert process.stdout.count("the first of them is run, once:") == 2
    assert "job 3 trains what job 1 trains: left out" in process.stdout
    assert len(workplace.runs()) == 3
    assert re.search(r"0  .*optimizer.lr=1e\+30: the loss became .* in epoch 2", process.stderr)
    assert "Traceback" not in process.stderr
    statuses = {run.data.params.get("optimizer.lr"): run for run in workplace.runs()}
    assert statuses["1e+30"].info.status == "FAILED"
    assert "epoch 2" in statuses["1e+30"].data.tags["transfer.error"]
    assert statuses["0.001"].info.status == "FINISHED"
    assert statuses[None].info.status == "FAILED"
    [report] = workplace.folder.glob("multirun/*/*/report.md")
    assert "## Not finished" in report.read_text()


@pytest.mark.parametrize(
    ("overrides", "code", "words"),
    [
        (["model=resnet19"], 1, "resnet18"),
        (["freeze_epoch=5"], 1, "freeze_epoch"),
        (["optimizer.lr=abc"], 1, "optimizer.lr"),
        (["freeze_epochs=-1"], 2, "freeze_epochs=-1: must be from 0"),
        (["freeze_epochs=50", "epochs=40"], 2, "freeze_epochs=50: must be from 0"),
        (["batch_size=0"], 2, "batch_size=0: must be at least 2"),
        (["data=image_folder", "data.root=/nowhere"], 2, "data.root=/nowhere: there is no such"),
        (["data=image_folder", "data.root=empty"], 2, "needs a folder train/"),
        (["data=image_folder", "data.root=one_class"], 2, "holds one class only (cat)"),
        (["data=image_folder", "data.root=bad_image"], 2, "text.jpg: cannot be read"),
        (["model=torchvision"], 2, "model.name=???: has no default; give it a value"),
        (["data=image_folder"], 2, "data.root=null: give the folder that holds train/<class>/"),
        (["weights=missing.pth"], 2, "weights=missing.pth: there is no such file"),
        (["tracking.uri=nonsense://x"], 2, "tracking.uri=nonsense://x"),
    ],
)
def test_a_wrong_value_ends_in_a_clear_line_before_any_run(
    workplace: Workplace, overrides: list[str], code: int, words: str
) -> None:
    (workplace.folder / "empty").mkdir()
    write_images(workplace.folder / "one_class" / "train", {"cat": 5})
    write_images(workplace.folder / "bad_image" / "train", {"cat": 5, "dog": 5})
    (workplace.folder / "bad_image" / "train" / "cat" / "text.jpg").write_text("no image")
    process = workplace.run("train.py", *overrides)
    assert process.returncode == code, process.stderr
    assert words in process.stderr
    assert "Traceback" not in process.stderr
    if code == 2:
        assert len(process.stderr.strip().splitlines()) == 1
    assert workplace.runs() == []


@pytest.mark.parametrize(
    ("swept", "code", "words"),
    [
        ("freeze_epochs=1,9", 2, "freeze_epochs=9: must be from 0"),
        ("data.train_per_class=5,0", 2, "data.train_per_class=0: must be at least 1"),
        ("weights=none,missing.pth", 2, "weights=missing.pth: there is no such file"),
        ("model=resnet18,resnet19", 1, "Could not find 'model/resnet19'"),
    ],
)
def test_one_wrong_job_stops_the_sweep_before_the_first(
    workplace: Workplace, swept: str, code: int, words: str
) -> None:
    process = workplace.run("train.py", "-m", *TINY, swept)
    assert process.returncode == code
    assert words in process.stderr
    assert "Traceback" not in process.stderr
    assert not re.search(r"^epoch +\d", process.stdout, re.MULTILINE)
    assert workplace.runs() == []


def test_your_own_images(workplace: Workplace) -> None:
    write_images(workplace.folder / "pets" / "train", {"cat": 20, "<b>$*x*": 10}, size=(40, 30))
    (workplace.folder / "pets" / "train" / "cat" / "7.jpg").write_bytes(b"")
    process = workplace.run(
        "train.py", *PLAIN, "data=image_folder", "data.root=pets", "epochs=1",
        "freeze_epochs=0", "batch_size=8", "data.on_bad_image=skip",
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    [run] = workplace.runs()
    assert run.data.params["data.classes"] == "2"
    assert run.data.params["data.skipped_images"] == "1"
    # Named as text on MLflow's pages too.
    assert "images (\\<b>\\$\\*x\\*) to" in run.data.tags["mlflow.note.content"]
    assert "1 of 30 images is left out" in process.stdout
    skipped = workplace.client.download_artifacts(run.info.run_id, "skipped_images.txt")
    assert Path(skipped).read_text().startswith("train/cat/7.jpg: cannot be read (empty); ")


def test_help_lists_the_choices(workplace: Workplace) -> None:
    process = workplace.run("train.py", "--help", from_scratch=True)
    assert process.returncode == 0
    for choice in ("mobilenet_v3_small", "image_folder", "one_cycle", "adamw"):
        assert choice in process.stdout


def test_an_mlflow_model_gives_the_saved_logits(workplace: Workplace) -> None:
    # The exported model computes in float32 wherever it runs.
    tiny = [*TINY, "epochs=1", "precision=float32"]
    process = workplace.run("train.py", "model=resnet18", *tiny, "tracking.log_model=true")
    assert process.returncode == 0, process.stderr
    [run] = workplace.runs()
    assert run.info.status == "FINISHED"
    [logged] = workplace.client.search_logged_models([run.info.experiment_id])
    job = prepare(config_of("model=resnet18", *tiny))
    data = job.data
    preprocess = job.normalization.preprocess(32, job.config.augment)
    model = mlflow.pytorch.load_model(logged.artifact_location)
    saved = np.load(Path(run.data.tags["hydra.output_dir"]) / "predictions.npz")["logits"]
    logits = model(preprocess(data.test.images[:5])).detach().numpy()
    np.testing.assert_allclose(logits, saved[:5], atol=1e-4)
    # The folder's files and the store's are the same ones.
    large = list(Path(run.data.tags["hydra.output_dir"], "model").rglob("*.pt*"))
    place = Path(logged.artifact_location.removeprefix("file://"))
    assert max(path.stat().st_size for path in large) > 40_000_000
    assert all(path.samefile(next(place.rglob(path.name))) for path in large)
    requirements = (place / "requirements.txt").read_text().splitlines()
    named = {line.partition("==")[0] for line in requirements}
    assert named == {"mlflow", "cloudpickle", "numpy", "pandas", "torch", "tqdm"}
