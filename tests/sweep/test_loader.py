"""What the jobs of a sweep are composed of once, and that it comes to what Hydra composes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf

from tests.conftest import ROOT
from transfer.config import register_schema
from transfer.sweep.compose import claim_folder
from transfer.sweep.loader import SweepLoader, share_files


@contextmanager
def _sweep(*typed: str) -> Iterator[tuple[ConfigLoaderImpl, SweepLoader, DictConfig]]:
    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        hydras = cast(ConfigLoaderImpl, GlobalHydra.instance().config_loader())
        config = hydras.load_configuration("config", list(typed), RunMode.MULTIRUN)
        # Such as the time, which all jobs have from their sweep.
        assert config.hydra.sweep.dir
        share_files()
        yield hydras, cast(SweepLoader, GlobalHydra.instance().config_loader()), config


def _anatomy(node: Any) -> Any:
    """All that a node is: its kind, type, flags, cache, and those of the nodes below."""
    about = {name: value for name, value in vars(node._metadata).items() if name != "key"}
    if not isinstance(node, Container) or node._is_none() or node._is_missing():
        return type(node), about, node._value()
    if node._is_interpolation():
        return type(node), about, node._value()
    each = node._content
    pairs = each.items() if isinstance(each, dict) else enumerate(cast(list[Any], each))
    return type(node), about, [(name, _anatomy(child)) for name, child in pairs]


_JOBS = [
    ["seed=3"],
    [],
    ["model=simple_cnn", "weights=none", "seed=4", "optimizer.lr=1e-2"],
    ["weights={resnet18: starter, simple_cnn: none}", "model=simple_cnn"],
    ["+weights.resnet18=starter", "model=simple_cnn"],
    ["experiment=article", "epochs=3", "freeze_epochs=${epochs}", "model=mobilenet_v3_small"],
    ["model=torchvision", "model.name=mobilenet_v2", "data=image_folder", "data.root=a b"],
    ["augment={flip: true}", "augment.crop_scale=0.5", "schedule=one_cycle"],
    ["++tracking.examples=3", "data.mean=[0.1,0.2,0.3]", "data.fold=null"],
    ["optimizer=sgd", "~experiment"],
]


def test_a_job_is_what_hydra_composes() -> None:
    with _sweep("hydra.job.config.override_dirname.exclude_keys=[seed]") as (hydras, ours, sweep):
        for job in _JOBS:
            ours.load_sweep_config(sweep, [*job, "seed=7"])
            expected, found = (each.load_sweep_config(sweep, job) for each in (hydras, ours))
            assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(expected)
            assert _anatomy(found) == _anatomy(expected)
            assert found.hydra.sweep.dir == expected.hydra.sweep.dir == sweep.hydra.sweep.dir
            # What one job does with its configuration is no other job's.
            found.hydra.overrides.task.append("mine")
            assert "mine" not in ours.load_sweep_config(sweep, job).hydra.overrides.task


def test_what_hydra_refuses_it_refuses_in_its_own_words() -> None:
    refused = ["sead=1", "model=nosuch", "epochs=many", "model.name.x=1", "~nosuch", "+a"]
    with _sweep() as (hydras, ours, sweep):
        for job in refused:
            refusals = []
            for loader in (hydras, ours):
                with pytest.raises(Exception) as refusal:
                    loader.load_sweep_config(sweep, [job])
                refusals.append((type(refusal.value), str(refusal.value)))
            assert refusals[0] == refusals[1]


def test_files_are_read_once_for_all_that_choose_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    composed = list[list[str]]()
    whole = ConfigLoaderImpl.load_sweep_config

    def counted(self: ConfigLoaderImpl, sweep: DictConfig, overrides: list[str]) -> DictConfig:
        composed.append(overrides)
        return whole(self, sweep, overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    with _sweep() as (hydras, ours, sweep):
        for model in ("lenet", "simple_cnn"):
            for seed in range(20):
                job = ours.load_sweep_config(sweep, [f"model={model}", f"seed={seed}"])
                assert (job.model.name, job.seed) == (model, seed)
        # Nor once more when the sweep has its folder.
        folder = claim_folder(sweep, "hydra.sweep.dir")
        job = ours.load_sweep_config(sweep, ["model=lenet", "seed=7"])
        assert Path(job.hydra.sweep.dir).absolute() == folder
        assert composed == [["model=lenet"], ["model=simple_cnn"]]
        assert _anatomy(job) == _anatomy(whole(hydras, sweep, ["model=lenet", "seed=7"]))


def test_another_place_for_files_is_left_to_hydra(tmp_path: Any) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("name: lenet\n")
    with _sweep(f"hydra.searchpath=[{os.fspath(tmp_path)}]") as (hydras, ours, sweep):
        assert _anatomy(ours.load_sweep_config(sweep, ["model=mine"])) == _anatomy(
            hydras.load_sweep_config(sweep, ["model=mine"])
        )
