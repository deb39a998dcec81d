"""How many jobs share a GPU, on machines that have some by their own word alone."""

from __future__ import annotations

import logging
import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, read_write

from tests.conftest import config_of, hydra_config
from transfer.config import refuse_unused
from transfer.sweep import entry
from transfer.sweep.compose import jobs_at_once
from transfer.sweep.launch import launchers
from transfer.sweep.launch.gpu_sharing import (
    NUM_GPUS,
    place_on_machine,
    ray_share,
    refuse_sharing,
    share_gpus,
)
from transfer.system.device import assign_gpu, count_gpus
from transfer.system.errors import ConfigError


def _shared(*overrides: str) -> DictConfig:
    with hydra_config(*overrides) as config:
        with read_write(config):
            config.hydra.overrides.task = [each for each in overrides if each[:5] != "hydra"]
            config.hydra.overrides.hydra = [each for each in overrides if each[:5] == "hydra"]
        share_gpus(config)
        return config


@pytest.mark.parametrize(
    ("gpus", "typed", "at_once"),
    [
        (2, ["jobs_per_gpu=1"], 2),
        (2, ["jobs_per_gpu=3"], 6),
        (2, ["jobs_per_gpu=3", "hydra.launcher.n_jobs=4"], 4),
        (2, ["jobs_per_gpu=3", "hydra.launcher.n_jobs=-1"], 6),
        # On one of them.
        (2, ["jobs_per_gpu=3", "device=cuda:1"], 3),
        (2, ["jobs_per_gpu=null"], 16),
        (0, ["jobs_per_gpu=3"], 16),
        (2, ["jobs_per_gpu=3", "device=cpu"], 16),
    ],
)
def test_joblib_runs_as_many_jobs_as_share_the_gpus(
    gpus: int,
    typed: list[str],
    at_once: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    with caplog.at_level(logging.INFO):
        config = _shared("hydra/launcher=joblib", *typed)
    assert jobs_at_once(config) == at_once
    if gpus == 0:
        assert caplog.messages == ["jobs_per_gpu=3 changes nothing here: there is no GPU"]
    elif "device=cpu" in typed:
        # Each job refuses it, and one line is enough.
        assert not caplog.messages
    elif "null" not in typed[0]:
        assert f": at most {at_once} jobs at once on " in caplog.messages[0]


def test_what_each_device_has_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    choices = ("auto", "cuda", "cuda:3", "mps", "cpu")
    assert [count_gpus(each) for each in choices] == [4, 1, 1, 1, 0]


def test_ray_gives_each_job_its_part() -> None:
    config = _shared("hydra/launcher=ray", "jobs_per_gpu=4")
    assert config.hydra.launcher.ray.remote.num_gpus == 0.25
    assert _shared("hydra/launcher=ray").hydra.launcher.ray.remote.num_gpus == 0
    # As Ray rounds them: so many have room on a GPU, and one more has not.
    for shared in range(1, 101):
        part = round(ray_share(shared) * 10_000)
        assert shared * part <= 10_000 < (shared + 1) * part


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["hydra/launcher=basic"], "=2: jobs run one at a time anyway; hydra/launcher=joblib"),
        (["hydra/launcher=submitit_slurm"], r"=2: Slurm itself .* hydra\.launcher\.gres=shard:1"),
        (["hydra/launcher=submitit_local"], "=2: this launcher .* runs as many as share the GPUs$"),
        (["hydra/launcher=ray", f"{NUM_GPUS}=0.5"], f"=2: {NUM_GPUS}=0.5 says it already; leave"),
        (["hydra/launcher=ray", f"{NUM_GPUS}=0"], f"=2: {NUM_GPUS}=0 says it already; leave"),
        (["hydra/launcher=joblib", "jobs_per_gpu=0"], "=0: must be from 1 to 100 jobs$"),
    ],
)
def test_launchers_that_cannot_share_are_one_line(typed: list[str], line: str) -> None:
    with pytest.raises(ConfigError, match=f"^jobs_per_gpu{line}"):
        _shared("jobs_per_gpu=2", *typed)


def test_it_is_one_number_for_all_jobs_of_a_sweep() -> None:
    with hydra_config("hydra/launcher=joblib") as config:
        with read_write(config):
            config.hydra.overrides.task = ["jobs_per_gpu=1,2"]
        with pytest.raises(ConfigError, match=r"^jobs_per_gpu=1,2: is one number for the whole"):
            share_gpus(config)
    with pytest.raises(ConfigError, match=r"^jobs_per_gpu=2: is for the jobs of a sweep, with -m"):
        refuse_sharing(2)
    typed = ["device=cpu", "jobs_per_gpu=2"]
    with pytest.raises(ConfigError, match="what would: device=auto, cuda or mps"):
        refuse_unused([(config_of(*typed), typed)])


def test_a_cluster_without_gpus_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(kind: str, launcher: Any) -> None:
        raise ConfigError(NUM_GPUS, launcher.ray.remote.num_gpus, "no node has so many")

    monkeypatch.setattr(launchers, "find_spec", lambda name: name)
    monkeypatch.setattr(launchers, "_ask", ask)
    with pytest.raises(ConfigError, match=r"^jobs_per_gpu=2: no node of the cluster has a GPU"):
        launchers.require_launcher(_shared("hydra/launcher=ray", "jobs_per_gpu=2"))


def test_workers_have_places_where_there_are_several_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for gpus, overrides, places in (
        (2, (), [0, 1]),
        (2, ("device=cuda:1",), [0, 0]),
        (1, (), [0, 0]),
    ):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        config = config_of(*overrides)
        with entry._place(config, tmp_path) as first, entry._place(config, tmp_path) as second:
            assert [first, second] == places


@pytest.mark.parametrize(("gpus", "shared"), [(2, 2), (3, 1)])
def test_no_gpu_gets_more_jobs_than_share_it(tmp_path: Path, gpus: int, shared: int) -> None:
    """Whichever end first."""
    draw, running, most = random.Random(0), list[tuple[str, ExitStack]](), 0
    for _ in range(60):
        if len(running) == gpus * shared:
            _, ended = running.pop(draw.randrange(len(running)))
            ended.close()
        job = ExitStack()
        place = job.enter_context(place_on_machine(tmp_path))
        running.append((assign_gpu(place, gpus), job))
        on_each = [gpu for gpu, _ in running]
        most = max(most, *(on_each.count(gpu) for gpu in on_each))
    assert most == shared
    for _, job in running:
        job.close()
