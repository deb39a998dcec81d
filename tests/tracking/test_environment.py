"""Command, versions and commit as tags."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from transfer.system.errors import ConfigError, without_password
from transfer.system.paths import REPOSITORY
from transfer.tracking.environment import environment_tags, without_places


def test_the_command_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/train.py", "-m", "seed=range(3)"])
    assert environment_tags()["transfer.command"] == "python train.py -m 'seed=range(3)'"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:s3cr:t@host/runs", "postgresql://me:***@host/runs"),
        ("https://:t0ken@host:5000", "https://:***@host:5000"),
        ("http://host:5000/a@b", "http://host:5000/a@b"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_a_password_stays_out_of_the_store_and_of_errors(
    address: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert without_password(address) == shown
    monkeypatch.setattr(sys, "argv", ["train.py", f"tracking.uri={address}", "seed=1"])
    assert environment_tags()["transfer.command"].endswith(f"tracking.uri={shown} seed=1")
    error = ConfigError("tracking.uri", address, f"no {address}")
    assert str(error) == f"tracking.uri={shown}: no {shown}"


def test_versions_name_what_a_result_depends_on() -> None:
    versions = environment_tags()["transfer.versions"]
    assert re.match(r"Python 3\.\d+\.\d+, torch [\d.]+.*, torchvision .*, mlflow ", versions)


def test_the_commit_is_the_one_checked_out() -> None:
    call = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    tag = environment_tags().get("mlflow.source.git.commit", "")
    assert tag.removesuffix("-dirty") == (done.stdout.strip() if done.returncode == 0 else "")


def test_a_command_that_is_passed_on_names_no_place() -> None:
    command = (
        "python train.py -m data.root=/home/me/cats weights=runs:/1a tracking.uri=postgresql://u:p@h/d"
        " resume=true hydra.sweep.dir=/home/me/out seed=0,1"
    )
    assert without_places(command) == "python train.py -m data.root=cats weights=runs:/1a seed=0,1"


def test_a_mapping_of_weights_keeps_the_names_of_its_files() -> None:
    mapping = "weights={resnet18: /home/me/a.pth, timm/vit_tiny: runs:/1a, lenet: none, b:/c/d.pth}"
    passed_on = "weights={resnet18: a.pth, timm/vit_tiny: runs:/1a, lenet: none, b: d.pth}"
    assert without_places(f"train.py '{mapping}'") == f"train.py '{passed_on}'"
