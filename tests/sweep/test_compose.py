"""What is asked of Hydra before it begins: a folder of its own, and workers or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import read_write

from tests.conftest import hydra_config, hydra_config_of
from transfer.config import refuse_overruled, refuse_unused, typed_config
from transfer.sweep.compose import (
    claim_folder,
    compose_jobs,
    has_workers,
    require_folder,
    require_one_place,
    split_jobs,
)
from transfer.system.errors import ConfigError


@pytest.mark.parametrize("key", ["hydra.run.dir", "hydra.sweep.dir"])
def test_the_same_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.chdir(tmp_path)
    first, second, third = (hydra_config_of() for _ in range(3))
    name = first.hydra.run.dir
    # The same moment for all: it is what the resolver `now` gave first.
    for config in (first, second, third):
        config.hydra.run.dir = config.hydra.sweep.dir = name
    assert claim_folder(first, key) == tmp_path / name
    assert claim_folder(second, key) == tmp_path / f"{name}-2"
    assert claim_folder(third, key) == tmp_path / f"{name}-3"
    # Jobs are composed anew, from the overrides.
    assert list(first.hydra.overrides.hydra)[-1] == f"{key}='{name}'"
    assert list(second.hydra.overrides.hydra)[-1] == f"{key}='{name}-2'"


def test_a_name_that_needs_quoting(tmp_path: Path) -> None:
    config = hydra_config_of()
    config.hydra.sweep.dir = f"{tmp_path}/it's a\\b"
    folder = claim_folder(config, "hydra.sweep.dir")
    [typed] = OverridesParser.create().parse_overrides([config.hydra.overrides.hydra[-1]])
    assert typed.value() == str(folder) == f"{tmp_path}/it's a\\b"


def test_a_folder_that_was_asked_for_is_used_again(tmp_path: Path) -> None:
    for _ in range(2):
        config = hydra_config_of(f"hydra.sweep.dir={tmp_path}/mine")
        assert claim_folder(config, "hydra.sweep.dir") == tmp_path / "mine"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"hydra\.sweep\.dir=.*cannot be made \(Not a directory"):
        claim_folder(hydra_config_of(f"hydra.sweep.dir={tmp_path}/file/x"), "hydra.sweep.dir")
    # A sweep that chooses asks before it measures anything, and makes none.
    with pytest.raises(ConfigError, match=r"^hydra\.sweep\.dir=.*is no folder"):
        require_folder("hydra.sweep.dir", f"{tmp_path}/file/run")
    require_folder("hydra.sweep.dir", f"{tmp_path}/new/run")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("launcher", "workers"), [(["hydra/launcher=basic"], False), (["hydra/launcher=joblib"], True)]
)
def test_which_launchers_have_workers(launcher: list[str], workers: bool) -> None:
    assert has_workers(hydra_config_of(*launcher)) == workers


def test_no_workers_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.n_jobs=0: give the number of jobs"):
        has_workers(hydra_config_of("hydra/launcher=joblib", "hydra.launcher.n_jobs=0"))


def test_a_sweeper_that_chooses_has_every_model_composed() -> None:
    """So that a mapping of weights is held to all of them, and what `auto` comes to is noted."""
    with hydra_config() as config:
        with read_write(config):
            config.hydra.sweeper._target_ = "hydra_plugins.some.OptunaSweeper"
            mapping = "weights={lenet: auto, simple_cnn: none}"
            swept = ["model=choice(lenet, simple_cnn)", "optimizer.lr=interval(0.1, 1)", "seed=1,2"]
            config.hydra.overrides.task = [mapping, *swept]
        composed = compose_jobs(config, split_jobs(config))
        jobs = [(typed_config(job), overrides) for overrides, job in composed]
    found = [(job.model.name, job.weights, job.seed) for job, _ in jobs]
    assert found == [("lenet", "auto", 0), ("simple_cnn", "none", 0)]
    refuse_unused(jobs)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["hydra.sweep.subdir=same"], "subdir=same: job 1 would write into .*/same, which job 0 "),
        (["hydra.sweep.subdir=${model.name}"], r"add the number: lenet-\$\{hydra\.job\.num\}$"),
        (["hydra.sweep.subdir=./${seed}/.."], "job 0 would write into .*, which the sweep itself "),
        (["hydra.sweep.dir=out/${seed}"], r"sweep\.dir=out/0: is one folder for all jobs; what"),
        (["hydra.sweep.subdir=${model.name}/seed${seed}"], ""),
        (["hydra.sweep.dir=out/mine"], ""),
        # Of a sweeper that may choose the same twice.
        (["hydra.sweep.subdir=seed${seed}", "chooses"], "job 1 would write into .*seed0, which"),
        (["chooses"], ""),
    ],
)
def test_no_two_jobs_share_a_folder(typed: list[str], words: str) -> None:
    own = [each for each in typed if each.startswith("hydra.")]
    with hydra_config(*own) as config:
        with read_write(config):
            config.hydra.overrides.task = ["model=lenet", "weights=none", "seed=1,0"]
            config.hydra.overrides.hydra = own
            if "chooses" in typed:
                config.hydra.sweeper._target_ = "hydra_plugins.some.OptunaSweeper"
        jobs = compose_jobs(config, split_jobs(config))
        if not words:
            assert [job.model.name for _, job in jobs]
            return
        with pytest.raises(ConfigError, match=words):
            list(jobs)


def test_what_refers_to_another_key_refers_to_that_of_each_job() -> None:
    with hydra_config() as config:
        with read_write(config):
            config.hydra.overrides.task = ["epochs=3,7", "freeze_epochs=${epochs}"]
        composed = compose_jobs(config, split_jobs(config))
        jobs = [typed_config(job) for _, job in composed]
    assert [job.freeze_epochs for job in jobs] == [3, 7]


def test_jobs_are_not_run_in_their_own_folders() -> None:
    require_one_place(hydra_config_of())
    with pytest.raises(ConfigError, match=r"hydra\.job\.chdir=true: each path that is typed"):
        require_one_place(hydra_config_of("hydra.job.chdir=true"))


def test_a_model_that_another_key_replaces_is_refused() -> None:
    for typed in (["model=torchvision", "model.name=mobilenet_v2"], ["model=lenet"], ["seed=1"]):
        refuse_overruled([(typed_config(hydra_config_of(*typed)), typed)])
    typed = ["model=resnet18", "model.name=mobilenet_v2"]
    words = "model=resnet18: mobilenet_v2 would be trained in its place, .* model.name=resnet18,mob"
    with pytest.raises(ConfigError, match=words):
        refuse_overruled([(typed_config(hydra_config_of(*typed)), typed)])
