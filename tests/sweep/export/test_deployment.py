"""A sweep with `deploy` leaves its networks as files, which its report has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from omegaconf import DictConfig

from tests.conftest import FASTEST, TINY, Workplace, hydra_config
from transfer.deploy import packages
from transfer.sweep.compose import split_jobs
from transfer.sweep.export.deployment import (
    Deployment,
    is_there,
    plan_deployment,
    take_as_one_value,
)
from transfer.system.errors import ConfigError
from transfer.tracking.forms import forms_of
from transfer.tracking.run_record import RunRecord


@pytest.fixture
def config() -> Iterator[DictConfig]:
    """As the callback of a sweep gets it, but that nothing was typed."""
    with hydra_config() as config:
        yield config


@pytest.mark.parametrize("typed", ["deploy=int8,pt2,onnx", "deploy='int8,pt2,onnx'"])
def test_forms_with_commas_are_for_all_jobs(config: DictConfig, typed: str) -> None:
    config.hydra.overrides.task = ["seed=0,1", typed, "deploy_rows=all"]
    config.deploy_rows = "all"
    if "'" in typed:
        config.deploy = "int8,pt2,onnx"
    take_as_one_value(config)
    forms = "deploy='int8,pt2,onnx'"
    assert split_jobs(config) == [[f"seed={seed}", forms, "deploy_rows=all"] for seed in (0, 1)]
    assert plan_deployment(config) == Deployment(["onnx", "pt2", "onnx_int8"], "all")


def test_of_several_forms_the_last_count(config: DictConfig) -> None:
    config.hydra.overrides.task = ["deploy=onnx,int8", "deploy=pt2"]
    take_as_one_value(config)
    assert plan_deployment(config) == Deployment(["pt2"], "front")
    config.hydra.overrides.task = ["deploy_rows=front,all"]
    with pytest.raises(ConfigError, match=r"^deploy_rows=front,all: is one for the whole sweep"):
        take_as_one_value(config)


def test_a_missing_package_is_told_before_anything_runs(
    config: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    config.hydra.overrides.task = ["deploy=pt2,int8"]
    take_as_one_value(config)
    with pytest.raises(ConfigError, match=r"^deploy=pt2,int8: onnx .* install onnx onnxscript"):
        plan_deployment(config)
    config.deploy = "pt2"
    assert plan_deployment(config) == Deployment(["pt2"], "front")


def test_a_single_run_says_what_would_do(workplace: Workplace) -> None:
    process = workplace.run("train.py", *FASTEST, *TINY, "deploy='pt2,int8'")
    assert process.returncode == 2 and process.stderr.count("\n") == 1
    command = "python experiments/export.py run=latest to=pt2 int8=true"
    assert process.stderr.startswith("deploy=pt2,int8: ") and process.stderr.endswith(
        f"afterwards, of one: {command}\n"
    )
    assert workplace.runs() == []


def test_a_sweep_exports_its_networks_once(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one on the front; what went wrong later keeps neither it nor the report."""
    command = ("train.py", "-m", *FASTEST, *TINY, "optimizer.lr=1e-5,1e-2", "deploy=onnx,int8")
    process = workplace.run(*command)
    assert process.returncode == 0, process.stderr
    assert "\ndeploy: files of 1 network\n" in process.stdout
    runs = [run for run in workplace.runs() if "mlflow.parentRunId" in run.data.tags]
    other, best = sorted(runs, key=lambda run: len(forms_of(run.data.metrics)))
    assert forms_of(other.data.metrics) == {}
    forms = forms_of(best.data.metrics)
    assert list(forms) == ["torch", "onnx", "onnx_int8"]
    assert all(form.latency_ms > 0 for form in forms.values())
    assert best.data.params.keys() == other.data.params.keys() and "deploy" not in best.data.params
    [folder] = (workplace.folder / "exports").iterdir()
    files = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {*files} == {
        f"{each}{card}" for each in ("model.onnx", "model.int8.onnx") for card in ("", ".json")
    }
    [report] = workplace.folder.glob("multirun/*/*/report.md")
    assert "## What the phone will see" in report.read_text()
    assert "(figures/forms.png)" in report.read_text()
    assert (report.parent / "figures" / "forms.png").is_file()

    # Somebody removes the weights of the other one.
    artifacts = other.info.artifact_uri.removeprefix("file://")
    (workplace.folder / artifacts / "weights.safetensors").unlink()
    process = workplace.run(*command, "deploy_rows=all", "resume=true")
    assert process.returncode == 1
    assert "\ndeploy: files of 2 networks, 1 of them there already\n" in process.stdout
    assert "model.onnx: " not in process.stdout and "report: " in process.stdout
    lines = process.stderr.splitlines()
    at = lines.index("1 of 2 networks were not exported as asked; to try again:")
    assert re.match(rf"{other.info.run_name} \({other.info.run_id}\): run=", lines[at - 1])
    assert lines[at + 1].endswith("deploy=onnx,int8 deploy_rows=all resume=true")
    assert files == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}

    # A damaged file is not there.
    monkeypatch.chdir(workplace.folder)
    record = RunRecord.of(workplace.client.get_run(best.info.run_id))
    assert is_there(record, ["onnx", "onnx_int8"]) and not is_there(record, ["pt2"])
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not is_there(record, ["onnx", "onnx_int8"])
