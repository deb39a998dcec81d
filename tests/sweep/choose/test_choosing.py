"""What `experiment=choose` plans from what was typed, and what it refuses before it measures."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from omegaconf import DictConfig, read_write

from tests.conftest import hydra_config
from transfer.deploy import packages
from transfer.sweep.budget import Budget
from transfer.sweep.choose.choosing import plan_choice
from transfer.sweep.choose.early_clock import EarlyClock
from transfer.sweep.choose.typed_overrides import sort_overrides
from transfer.sweep.race.replicates import recipe_of
from transfer.system.errors import ConfigError

FEW = ("data.train_per_class=5", "budget=24h")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One for all, for to make one takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db"


@contextmanager
def _sweep(*typed: str) -> Iterator[DictConfig]:
    """The configuration of a sweep, as its callback is given it."""
    task = ["experiment=choose", *FEW, *typed]
    # Hydra leaves out what is swept.
    own = [each for each in task if "," not in each and not each.startswith("hydra.")]
    of_hydra = [each for each in typed if each.startswith("hydra.")]
    with hydra_config(*own, *of_hydra, "preview=true") as config:
        with read_write(config):
            config.hydra.overrides.task = [each for each in task if each not in of_hydra]
        yield config


def _jobs(store: str, *typed: str) -> list[list[str]]:
    with _sweep(*typed, f"tracking.uri={store}") as config:
        return plan_choice(config)[1]


def _last(job: list[str], key: str) -> str | None:
    """What a job's overrides make of a key; each is to be there once."""
    found = [each.partition("=")[2] for each in job if each.partition("=")[0] == key]
    assert len(found) <= 1, job
    return found[0] if found else None


def test_typed_frozen_epochs_take_the_place_of_those_of_the_grid(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = _jobs(store, "model=resnet18", "freeze_epochs=2", "hydra.sweeper.first_rung=9")
    assert {_last(job, "freeze_epochs") for job in jobs} == {"2"}
    assert {_last(job, "tune") for job in jobs} == {"head", "last:1", "all"}
    # So does a typed rung.
    assert "30 epochs, rungs after 9, 27," in capsys.readouterr().out
    typed = ("epochs=8", "freeze_epochs=0,3", "tune=all,head", "data.seed=0,1")
    jobs = _jobs(store, "model=resnet18,mobilenet_v3_small", *typed)
    tuned = [_last(job, "freeze_epochs") for job in jobs if _last(job, "tune") == "all"]
    assert tuned.count("0") == tuned.count("3") == len(tuned) / 2 > 0
    heads = [job for job in jobs if _last(job, "tune") == "head"]
    assert heads and all(_last(job, "freeze_epochs") is None for job in heads)
    told = capsys.readouterr().out
    assert "8 epochs, rungs after 5," in told
    # Two splits are jobs of one configuration, two numbers of frozen epochs are two of these.
    recipes = {recipe_of(job) for job in jobs}
    assert 2 * len(recipes) == len(jobs)
    assert f"left: {len(recipes)} configurations, {len(jobs)} jobs, of 8 epochs" in told
    assert "the screen sees the first data.seed alone: images that other jobs test on" in told


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        (["epochs=3", "freeze_epochs=3"], r"^freeze_epochs=3: must be below epochs=3 here"),
        (["freeze_epochs=40"], r"^freeze_epochs=40: must be from 0 .* to epochs=30"),
        (["batch_size=-1"], r"^batch_size=-1: must be"),
        (["seed=0,-1"], r"^seed=-1: must be"),
        (["epochs=10,20"], r"^epochs=10,20: jobs are dropped by comparing them half way"),
        (["model=resnet18", "tune=last:9"], r"^tune=last:9: resnet18 has"),
        (["tune=head"], r"^tune=head: no candidate can be tuned like that: all"),
        (["optimizer=adamw,lamb"], r"^optimizer=lamb: choose from adam, adamw, sgd"),
        (["epochs=1"], r"^epochs=1: no rung lies before the last epoch"),
        (["hydra.sweeper.first_rung=30"], r"^hydra.sweeper.first_rung=30: .* last of 30 epochs"),
        (["optimizer.head_lr=1e-3"], r"^optimizer.head_lr=0.001: this job does not use it"),
    ],
)
def test_what_is_typed_wrong_is_told_before_anything_is_measured(
    store: str, capsys: pytest.CaptureFixture[str], typed: list[str], problem: str
) -> None:
    smallest = () if typed[0].startswith("model=") else ("model=lenet", "weights=none")
    with pytest.raises(ConfigError, match=problem):
        _jobs(store, *smallest, *typed)
    assert capsys.readouterr().out == ""


def test_a_package_that_is_missing_for_files_is_told_before_anything_is_measured(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"^deploy=onnx: onnx .* install onnx onnxscript"):
        _jobs(store, "model=lenet", "weights=none", "deploy=onnx")
    assert capsys.readouterr().out == ""


def test_time_before_the_plan_counts_where_a_command_goes_on(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path))
    typed = ("model=lenet", "weights=none", "epochs=3", f"tracking.uri={store}")
    with _sweep(*typed) as config:
        clock = EarlyClock.of(config, sort_overrides(config))
    began = time.time() - 100_000
    clock.begin(Budget(86_400.0, spent=5_000.0, start=began))
    [noted] = tmp_path.iterdir()
    # Killed after more than its day.
    os.utime(noted, (began, began + 82_000.0))
    former = clock.former()
    assert former is not None and former.spent == pytest.approx(87_000.0)
    with (
        _sweep(*typed, "resume=true") as config,
        pytest.raises(
            ConfigError, match=r"^budget=24h: too short for anything: .* 24\.\d h are gone"
        ),
    ):
        plan_choice(config)
    with _sweep(*typed) as config:
        choice, _ = plan_choice(config)
    assert choice.spent == 0, "a command that does not go on begins anew"
    clock.forget()
    assert clock.former() is None


def test_each_optimizer_has_its_own_rates_and_weight_decay(store: str) -> None:
    jobs = _jobs(store, "model=resnet18", "epochs=8", "optimizer=adamw,sgd", "tune=all")
    found = {
        name: {
            (_last(job, "optimizer.lr"), _last(job, "optimizer.weight_decay"))
            for job in jobs
            if _last(job, "optimizer") == name
        }
        for name in ("adamw", "sgd")
    }
    assert {decay for _, decay in found["adamw"]} == {None}
    assert {decay for _, decay in found["sgd"]} == {"5e-4"}
    assert {rate for rate, _ in found["adamw"]} == {"5e-4", "2e-3", "1e-4"}
    assert {rate for rate, _ in found["sgd"]} == {"1e-2", "5e-2", "2e-3"}
