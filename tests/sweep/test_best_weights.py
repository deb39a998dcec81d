"""Weights are kept once, and of whom `tracking.weights` says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlflow.entities import Run

from tests.conftest import FASTEST, ROOT, TINY, Workplace, children
from transfer.sweep.best_weights import may_go
from transfer.tracking.find import KEPT_FOR
from transfer.tracking.run_record import RunRecord
from transfer.tracking.run_state import WEIGHTS, is_in_store

PICTURE = str(ROOT / "docs" / "accuracy_and_loss.png")


def _files(run: Run) -> list[Path]:
    """Where the weights of a run lie: in its folder, and in the store."""
    folders = run.data.tags["hydra.output_dir"], run.info.artifact_uri.removeprefix("file://")
    return [path for folder in folders if (path := Path(folder) / WEIGHTS).exists()]


def test_the_best_seed_of_each_configuration_keeps_them(workplace: Workplace) -> None:
    command = ("train.py", "-m", *FASTEST, *TINY, "epochs=1", "freeze_epochs=0,1", "seed=0,1")
    process = workplace.run(*command, "tracking.weights=best")
    assert process.returncode == 0, process.stderr
    assert "tracking.weights=best: the weights of 2 runs were removed" in process.stdout
    [report] = workplace.folder.glob("multirun/*/*/report.md")
    assert "- weights kept: of each configuration those of the run that is best" in (
        report.read_text()
    )
    runs, losers = children(workplace), {}
    for frozen in (0, 1):
        pair = [runs[f"lenet-freeze{frozen}-seed{seed}"] for seed in (0, 1)]
        best = max(pair, key=lambda run: run.data.metrics["best/val_acc"])
        for run in pair:
            assert len(_files(run)) == (2 if run is best else 0)
            assert is_in_store(Path(run.data.tags["hydra.output_dir"]))
        [first, copy] = _files(best)
        assert first.samefile(copy), "one file of two names"
        losers |= {run.info.run_id: best.info.run_id for run in pair if run is not best}
    [(loser, best_id), _] = losers.items()
    for call in (
        ("experiments/predict.py", f"run={loser}", PICTURE),
        ("train.py", "model=lenet", f"weights=runs:/{loser}"),
    ):
        refused = workplace.run(*call)
        kept = "its sweep kept the weights of the best run alone (tracking.weights=best)"
        assert refused.returncode == 2 and refused.stderr.count("\n") == 1
        assert f"={loser}: {kept}: {best_id}\n" in refused.stderr.replace("runs:/", "")
    latest = workplace.run("experiments/predict.py", PICTURE)
    assert latest.returncode == 0, latest.stderr
    # Nothing is sent again, or missed.
    left = workplace.run("experiments/deliver.py", "folder=multirun")
    assert left.stdout == "nothing is left to deliver\n"
    again = workplace.run(*command, "resume=true")
    assert again.returncode == 0, again.stderr
    assert (again.stdout + again.stderr).count("without resume=true it is trained again") == 2
    assert len(children(workplace)) == 4


def test_what_another_sweep_counts_on_stays() -> None:
    tags = {"mlflow.parentRunId": "own"}
    run = RunRecord("1", "a", "FINISHED", {"tracking.weights": "best"}, {}, tags)
    assert may_go(run, "own") and not may_go(run, "other")
    assert not may_go(replace(run, tags=tags | {KEPT_FOR: "other"}), "own")


def test_none_are_kept_and_a_folder_that_is_used_again_leaves_the_store_alone(
    workplace: Workplace,
) -> None:
    words = (*FASTEST, *TINY, "epochs=1", "freeze_epochs=0", "hydra.run.dir=here")
    assert workplace.run("train.py", *words).returncode == 0
    [first] = workplace.runs()
    [_, kept] = _files(first)
    before = kept.read_bytes()
    assert workplace.run("train.py", *words, "seed=1").returncode == 0
    assert kept.read_bytes() == before
    process = workplace.run("train.py", *words, "seed=2", "tracking.weights=none")
    assert process.returncode == 0, process.stderr
    [run] = [each for each in workplace.runs() if each.data.params["seed"] == "2"]
    names = {each.path for each in workplace.client.list_artifacts(run.info.run_id)}
    assert WEIGHTS not in names and "predictions.npz" in names
    refused = workplace.run("experiments/predict.py", f"run={run.info.run_id}", PICTURE)
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        f"run={run.info.run_id}: this run kept no weights (tracking.weights=none); take another"
    )
