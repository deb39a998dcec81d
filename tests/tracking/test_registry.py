"""MLflow's registry: which version of a network is the champion."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Workplace
from transfer.system.errors import ConfigError
from transfer.tracking.registry import Registered, register, require_name
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import experiment_id

CARD = {
    "sha256": "0123456789abcdef0123",
    "data": "digits",
    "data_digest": "d",
    "commit": "c",
    "numbers": "int8",
    "model": "resnet18",
    "run_name": "a run",
    "run_id": "r",
    "accuracy": 0.9,
    "accuracy_interval_95": [0.85, 0.95],
    "test_images": 100,
    "image_size": 32,
    "fit": "crop",
    "classes": ["a_b_", "<c>"],
}


def test_the_champion_is_the_best_on_the_same_validation_images(
    workplace: Workplace, tmp_path: Path
) -> None:
    (tmp_path / "MLmodel").write_text("x")
    store = workplace.client

    def add(run: RunRecord, acc: float, fault: str = "", sha256: str = "0" * 64) -> Registered:
        card, measured = {**CARD, "sha256": sha256}, {"acc": acc, "loss": 1 - acc}
        return register(store, run, tmp_path, "digits", card, validation=measured, fault=fault)

    def run(val_acc: float, **params: str) -> RunRecord:
        created = store.create_run(experiment_id(store))
        store.log_metric(created.info.run_id, "best/val_acc", val_acc)
        for key, value in {"data.test_digest": "t", "data.seed": "0", **params}.items():
            store.log_param(created.info.run_id, key, value)
        return RunRecord.of(store.get_run(created.info.run_id))

    def champion() -> int:
        # A store may give it as text.
        return int(store.get_model_version_by_alias("digits", "champion").version)

    bad = add(run(0.9), 0.2, "in int8 it is worse")
    assert str(bad) == "models:/digits/1; champion is none yet: in int8 it is worse"
    first = add(run(0.8), 0.8)
    assert str(first) == "models:/digits/2, now champion"
    worse = add(run(0.8), 0.8)
    assert (worse.version, worse.champion) == (3, False)
    assert "champion stays version 2, which was no worse on the validation images" in str(worse)
    better = run(0.9)
    # Its file is what is compared, not the network that it was made of.
    assert not add(better, 0.79).champion
    assert add(better, 0.85).champion
    # Of the run of the champion, another file is what was wanted.
    assert add(better, 0.84, sha256="f" * 64).champion
    assert champion() == 6
    assert not add(run(0.83), 0.84).champion and add(run(0.83), 0.845).champion
    # Unless it is at fault.
    bad = add(better, 0.99, "in int8 it is worse")
    assert str(bad).endswith("; champion stays version 8: in int8 it is worse")
    other = add(run(0.99, **{"data.seed": "1"}), 0.99)
    assert "was validated on other images" in str(other) and champion() == 8
    # One that was registered by hand is as good as its run.
    store.delete_model_version_tag("digits", "8", "validation_score")
    assert not add(run(0.8), 0.82).champion and add(run(0.8), 0.835).champion
    assert add(run(0.7, select_by="loss"), 0.9).champion is False
    version = store.get_model_version("digits", "6")
    assert version.source.endswith(f"/exported/{'f' * 16}") and version.run_id == better.id
    assert (Path(version.source.removeprefix("file://")) / "MLmodel").read_text() == "x"
    assert version.tags["sha256"] == "f" * 64
    assert "- accuracy: 90.00% of 100 test images (95 % interval 85.00%" in version.description
    assert "- classes: a_b\\_, \\<c>" in version.description


@pytest.mark.parametrize("name", ["", "a/b", "a:1", "a b"])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"register={name}: a name of letters, digits"):
        require_name(name)
