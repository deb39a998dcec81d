"""Jobs on clusters: what a job that dies there leaves, and one that is begun again."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from transfer.sweep.launch.cluster_jobs import ClusterSweep, variables_to_pass_on
from transfer.sweep.outcomes import Outcome, note_outcome, read_outcomes


def _sweep(folder: Path) -> ClusterSweep:
    config = OmegaConf.create({"hydra": {"sweep": {"dir": "sweep"}}})
    unused: Any = SimpleNamespace()
    return ClusterSweep(unused, unused, config, place=folder, singletons=None)


def test_a_job_that_dies_has_failed_also_where_it_could_save(tmp_path: Path) -> None:
    saved, lost, done, waiting = _sweep(tmp_path).jobs([[f"seed={seed}"] for seed in range(4)], 3)
    note_outcome(tmp_path / "sweep", 3, Outcome("seed=0", "interrupted", folder="there"))
    note_outcome(tmp_path / "sweep", 5, Outcome("seed=2", "finished"))
    returned = [*(each.died("its node died") for each in (saved, lost, done)), waiting.stopped()]
    assert all(math.isnan(each.return_value) for each in returned)
    found = read_outcomes(tmp_path / "sweep")
    assert [each.status for each in found.values()] == [
        *("failed", "failed", "finished", "interrupted"),
    ]
    assert (found[3].folder, found[3].error) == ("there", "its node died")
    assert (found[4].overrides, found[4].error) == ("seed=1", "its node died")


def test_jobs_elsewhere_get_what_names_the_store_and_the_caches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://head:5000")
    monkeypatch.setenv("LD_PRELOAD_OF_THIS_MACHINE", "1")
    variables = variables_to_pass_on()
    assert variables["MLFLOW_TRACKING_URI"] == "http://head:5000"
    assert variables["TRANSFER_CACHE"] == os.environ["TRANSFER_CACHE"]
    assert "LD_PRELOAD_OF_THIS_MACHINE" not in variables


def test_a_job_in_a_file_holds_no_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "geheim123")
    assert b"geheim123" not in pickle.dumps(_sweep(tmp_path).jobs([["seed=0"]], 0))
