"""Launchers of clusters that could run no job, and are refused before a sweep begins."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from tests.conftest import ROOT, hydra_config_of
from transfer.config.key import leaves
from transfer.config.launchers import (
    LocalConfig,
    RayInitConfig,
    RayRemoteConfig,
    SlurmConfig,
    check_launcher,
)
from transfer.sweep.launch.launchers import require_launcher
from transfer.sweep.launch.slurm_room import require_job, require_partition
from transfer.system.errors import ConfigError


@pytest.mark.parametrize(
    ("launcher", "there", "words"),
    [
        ("ray", False, r"=ray: needs the package ray, which is not installed: .* -e '\.\[ray\]'"),
        ("submitit_local", False, r"=submitit_local: needs the package submitit, .*\[slurm\]'"),
        ("submitit_slurm", True, "=submitit_slurm: there is no sbatch here"),
    ],
)
def test_a_launcher_that_cannot_run_is_one_line(
    monkeypatch: pytest.MonkeyPatch, launcher: str, there: bool, words: str
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(
        "transfer.sweep.launch.launchers.find_spec", lambda name: name if there else None
    )
    with pytest.raises(ConfigError, match=f"hydra/launcher{words}"):
        require_launcher(hydra_config_of(f"hydra/launcher={launcher}"))


@pytest.mark.parametrize(
    ("launcher", "typed", "words"),
    [
        ("submitit_local", "timeout_min=abc", "'abc' .* could not be converted to Integer"),
        ("submitit_local", "timeout_min=0", "must be at least 1 minute"),
        ("submitit_local", "gpus_per_node=-1", "must be at least 0 GPUs"),
        ("submitit_slurm", "cpus_per_task=0", "must be at least 1 core"),
        ("submitit_slurm", "mem_gb=0", "must be above 0 GiB"),
        ("submitit_slurm", "tasks_per_node=2", "must be 1"),
        ("submitit_slurm", "setup=module", "Invalid value assigned: str is not a ListConfig"),
        ("ray", "ray.remote.num_cpus=abc", "'abc' .* could not be converted to Float"),
        ("ray", "ray.remote.num_cpus=-1", "must be at least 0 cores"),
        ("ray", "ray.remote.max_retries=-2", "must be at least -1"),
        ("ray", "ray.init.log_to_driver=3x", "is not a valid bool"),
        ("joblib", "prefer=threads", "choose from processes"),
        ("joblib", "backend=threading", "choose from loky"),
        ("joblib", "require=sharedmem", "must be null: jobs run in processes of their own"),
        ("joblib", "timeout=60", "must be null: it would end the whole sweep with the first job"),
        ("joblib", "verbose=-1", "must be at least 0"),
        ("joblib", "mmap_mode=q", "choose from r, "),
        ("joblib", "batch_size=0", "must be 'auto' or a positive integer, .*; leave it auto"),
        ("joblib", "max_nbytes=lots", "alike '10G', .*; leave it null"),
        ("joblib", "pre_dispatch=0", "no job would run; leave it 2"),
        ("joblib", "pre_dispatch=all_jobs", "is not a valid .* expression; leave it 2"),
    ],
)
def test_a_wrong_value_of_a_launcher_is_one_line(launcher: str, typed: str, words: str) -> None:
    """Before anything else is asked: also where the package is not installed."""
    with pytest.raises(ConfigError, match=rf"^hydra\.launcher\.{typed}(\.0)?: .*{words}"):
        require_launcher(hydra_config_of(f"hydra/launcher={launcher}", f"hydra.launcher.{typed}"))


@pytest.mark.parametrize(
    ("launcher", "typed", "words"),
    [
        ("submitit_local", "partition=gpu", "there are submitit_folder, name, timeout_min, .*"),
        ("ray", "num_cpus=2", "there are ray"),
        ("ray", "ray.num_cpus=2", "there are init, remote"),
    ],
)
def test_a_key_that_a_launcher_does_not_have_is_one_line(
    launcher: str, typed: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^hydra\.launcher\.{typed}: .* such key; {words}$"):
        require_launcher(hydra_config_of(f"hydra/launcher={launcher}", f"+hydra.launcher.{typed}"))


def test_what_joblib_does_is_not_refused() -> None:
    more = ("pre_dispatch=all", "batch_size=2", "max_nbytes=1M", "n_jobs=-1", "temp_folder=/tmp")
    config = hydra_config_of("hydra/launcher=joblib", *(f"hydra.launcher.{each}" for each in more))
    require_launcher(config)


def test_fewer_than_none_of_a_resource_is_one_line() -> None:
    remote = "hydra.launcher.ray.remote.resources"
    config = hydra_config_of("hydra/launcher=ray", f"+{remote}.a100=1", f"+{remote}.h100=-1")
    with pytest.raises(ConfigError, match=rf"^{remote}\.h100=-1.0: must be at least 0"):
        check_launcher("RayLauncher", config.hydra.launcher)


@pytest.mark.parametrize(
    ("name", "path", "declared"),
    [
        ("submitit_local", "", LocalConfig()),
        ("submitit_slurm", "", SlurmConfig()),
        ("ray", "ray.init", RayInitConfig()),
        ("ray", "ray.remote", RayRemoteConfig()),
    ],
)
def test_the_files_say_what_is_declared(name: str, path: str, declared: Any) -> None:
    file = ROOT / "conf/hydra/launcher" / f"{name}.yaml"
    node: Any = OmegaConf.to_container(OmegaConf.load(file))
    for part in filter(None, path.split(".")):
        node = node[part]
    found = {each: (key, value) for each, key, value in leaves(declared)}
    assert found.keys() == node.keys() - {"_target_"}
    for each, (key, value) in found.items():
        assert node[each] == value, each
        if key.low is not None or key.above is not None:
            bound = f"{key.above:g}" if key.low is None else f"{key.low:g}"
            comment = re.search(rf"^ *{each}: .*#((.*)(\n {{20,}}#.*)*)", file.read_text(), re.M)
            assert comment is not None and re.search(rf"(?<![\w.]){bound}\b", comment[1]), each


@pytest.mark.skipif(find_spec("submitit") is None, reason="needs submitit")
def test_what_this_machine_has_not_is_refused_and_no_folder_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for typed, words in (
        ("gpus_per_node=99", r"this machine has \d+ GPUs"),
        (
            f"submitit_folder={tmp_path}/file/%j",
            rf"cannot be made \({tmp_path}/file is no folder\)$",
        ),
    ):
        own = (f"hydra.sweep.dir={tmp_path}/new", f"hydra.launcher.{typed}")
        config = hydra_config_of("hydra/launcher=submitit_local", *own)
        with pytest.raises(ConfigError, match=rf"^hydra\.launcher\.{typed}: {words}"):
            require_launcher(config)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_cluster_of_slurms_is_asked_for_its_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a program that answers as sinfo does."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    sinfo = tmp_path / "sinfo"
    sinfo.write_text("#!/bin/sh\nprintf 'low\\nhigh\\nlow\\n'\n")
    sinfo.chmod(0o755)
    for known in (None, "low", "high,low"):
        require_partition(known, {})
    nowhere = "^hydra.launcher.partition=low,nowhere: .* no partition nowhere; it has low, high$"
    with pytest.raises(ConfigError, match=nowhere):
        require_partition("low,nowhere", {})
    require_partition("nowhere", {"clusters": "other"})
    sinfo.write_text("#!/bin/sh\necho 'slurm_load_partitions: Unable to contact' >&2\nexit 1\n")
    with pytest.raises(ConfigError, match="Slurm does not answer: slurm_load_partitions: Unable"):
        require_partition(None, {})
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="Slurm does not answer: No such file or directory"):
        require_partition(None, {})


def test_a_cluster_of_slurms_is_asked_whether_it_would_take_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By a program that answers as sbatch does."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    sbatch = tmp_path / "sbatch"

    def answer(words: str, code: int) -> None:
        asked = tmp_path / "asked"
        sbatch.write_text(f"#!/bin/sh\necho \"$*\" > {asked}\necho '{words}' >&2\nexit {code}\n")
        sbatch.chmod(0o755)

    params = {"timeout_min": 60, "nodes": 1, "gpus_per_node": 1, "mem_gb": 1.5, "partition": None}
    more = {"additional_parameters": {"exclusive": True, "mem_per_gpu": "8G"}}
    answer("sbatch: Job 1 to start at 2026-01-01", 0)
    require_job(params | more)
    assert (tmp_path / "asked").read_text().split() == [
        *("--test-only", "--output=/dev/null", "--nodes=1", "--gpus-per-node=1", "--time=60"),
        *("--mem=1536M", "--exclusive", "--mem-per-gpu=8G"),
    ]
    answer("sbatch: error: Invalid generic resource (gres) specification", 1)
    refused = r"slurm: .* no such job \(Invalid generic .*\); .* hydra\.launcher\.gpus_per_node=1"
    with pytest.raises(ConfigError, match=refused):
        require_job(params)
    # Another cluster is not asked.
    require_job(params | {"additional_parameters": {"clusters": "other"}})
    # A node that is drained may come again.
    remark = "sbatch: your account has 9 hours left"
    answer(f"{remark}\nallocation failure: Requested node configuration is not available", 1)
    sinfo = tmp_path / "sinfo"
    sinfo.write_text("#!/bin/sh\nprintf '4 64000\\n8 2048\\n'\n")
    sinfo.chmod(0o755)
    require_job(params)
    assert "jobs may wait" in caplog.text
    for name, value, most in (("cpus_per_task", 9, "8"), ("mem_gb", 63, "62.5")):
        with pytest.raises(ConfigError, match=rf"\.{name}={value}: .* the most is {most}$"):
            require_job(params | {name: value})
