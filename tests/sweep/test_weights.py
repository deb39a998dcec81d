"""Each model of a sweep its own weights, chosen once, when the sweep is planned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import TINY, Workplace, children, config_of
from transfer.models.families import family_named
from transfer.models.sources import resolve_source
from transfer.sweep.state import AutoWeights, note, read_auto_weights


def test_each_model_gets_what_the_mapping_says(workplace: Workplace) -> None:
    mapping = "weights={mobilenet_v3_small: auto, lenet: none}"
    models = ("model=mobilenet_v3_small,lenet", "epochs=1", "freeze_epochs=0")
    process = workplace.run("train.py", "-m", mapping, *TINY, *models)
    assert process.returncode == 0, process.stderr
    runs = children(workplace)
    found = {name.partition("-")[0]: run.data for name, run in runs.items()}
    assert {name: run.params["weights"] for name, run in found.items()} == {
        "mobilenet_v3_small": "starter",
        "lenet": "none",
    }
    assert found["lenet"].params["weights.digest"] == "none"
    for run in found.values():
        kept = (Path(run.tags["hydra.output_dir"]) / "config.yaml").read_text()
        assert f"\nweights: {run.params['weights']}\n" in kept
    [plan] = workplace.folder.glob("multirun/*/*/weights.json")
    assert json.loads(plan.read_text()) == {"sources": {"mobilenet_v3_small": "starter"}}


def test_a_sweep_that_goes_on_keeps_to_what_auto_came_to(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    name = "mobilenet_v3_small"
    command = ("train.py", "-m", f"model={name}", "weights=auto", *TINY, "epochs=1")
    first = workplace.run(*command)
    assert first.returncode == 0, first.stderr
    # As if somebody had downloaded the makers' weights since.
    published = family_named(name).published(name)[0]
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    (tmp_path / "hub/checkpoints" / published.url.rpartition("/")[2]).touch()
    assert resolve_source("auto", name) == "imagenet"
    preview = workplace.run(*command, "resume=true", "preview=true")
    assert "skip: finished" in preview.stdout, preview.stderr
    resumed = workplace.run(*command, "resume=true", "tracking.patience_s=1")
    assert resumed.returncode == 0 and "finished before" in resumed.stdout, resumed.stderr
    assert len(workplace.runs()) == 2


def test_jobs_keep_to_what_was_planned(tmp_path: Path) -> None:
    """Whatever `auto` would come to now."""
    assert read_auto_weights(tmp_path).pin(config_of("weights=auto")).weights == "auto"
    note(tmp_path, AutoWeights({"resnet18": "imagenet"}))
    planned = read_auto_weights(tmp_path)
    assert planned.pin(config_of("weights=auto")).weights == "imagenet"
    assert planned.pin(config_of("weights={resnet18: auto}")).weights == "imagenet"
    assert planned.pin(config_of("weights=starter")).weights == "starter"
    # A sweeper that chooses as it goes may come to a model that nobody planned.
    assert planned.pin(config_of("model=simple_cnn", "weights=auto")).weights == "auto"


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            ["model=resnet18,simple_cnn", "weights={resnet18: starter}"],
            "weights={resnet18: starter}: names no weights for simple_cnn; in quotes, for example: "
            "'weights={resnet18: starter, simple_cnn: none}'",
        ),
        (
            ["model=simple_cnn", "weights={simple_cnn: none, lenet: none}"],
            "weights.lenet=none: this job does not use it; what would: the model lenet",
        ),
        (["model=simple_cnn", "weights={simple_cnn: [1]}"], "weights.simple_cnn=[1]: choose from"),
        (
            ["model=simple_cnn,resnet18", "weights={resnet18: starter, simple_cnn: starter}"],
            "weights.simple_cnn=starter: there are none for simple_cnn",
        ),
        (["weights=resnet18:starter"], ", in quotes: 'weights={resnet18: starter, "),
        (["weights=null"], "weights=null: choose from auto, starter, imagenet, none, a file"),
    ],
)
def test_a_mapping_that_does_not_fit_is_one_line(
    workplace: Workplace, overrides: list[str], words: str
) -> None:
    process = workplace.run("train.py", "-m", *overrides, *TINY)
    assert process.returncode == 2 and words in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1
    assert workplace.runs() == []


@pytest.mark.parametrize("asked", [[], ["preview=true"], ["-m", "preview=true"]])
def test_an_entry_is_named_in_previews_and_single_runs_too(
    workplace: Workplace, asked: list[str]
) -> None:
    process = workplace.run("train.py", *asked, "weights={resnet18: nosuch.pth}", *TINY)
    assert process.returncode == 2 and workplace.runs() == []
    assert process.stderr.startswith("weights.resnet18=nosuch.pth: there is no such file")


def test_a_mapping_without_quotes_gets_them_shown(workplace: Workplace) -> None:
    process = workplace.run("train.py", "-m", "weights={resnet18:", "starter,", "lenet:", "none}")
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert "in quotes: 'weights={resnet18: starter, simple_cnn: none}'" in process.stderr
    assert workplace.runs() == []
