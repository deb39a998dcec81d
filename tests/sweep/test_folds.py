"""A sweep over folds: each image of the data set is tested in one of its runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.conftest import FASTEST, TINY, Workplace, children, config_of
from transfer.job import prepare
from transfer.system.errors import ConfigError
from transfer.tracking.run_weights import fetch_run_weights

_FOLDS = (*FASTEST, *TINY[:2], "epochs=1", "freeze_epochs=0", "data.folds=3")


def test_a_sweep_over_folds_tests_every_image(workplace: Workplace) -> None:
    process = workplace.run("train.py", "-m", *_FOLDS, "data.fold=range(3)")
    assert process.returncode == 0, process.stderr
    assert "report: multirun/" in process.stdout
    runs = children(workplace)
    assert sorted(runs) == [f"lenet-freeze0-fold{fold}-seed0" for fold in range(3)]
    params = [run.data.params for run in runs.values()]
    assert len({each["data.pool_digest"] for each in params}) == 1
    assert len({each["data.test_digest"] for each in params}) == 3
    assert {each["data.train_images"] for each in params} == {"50"}
    tags = [run.data.tags for run in runs.values()]
    assert len({each["transfer.configuration"] for each in tags}) == 1
    assert len({each["transfer.fingerprint"] for each in tags}) == 3
    tested = [_tested_labels(Path(each["hydra.output_dir"])) for each in tags]
    assert np.array_equal(np.sort(np.concatenate(tested)), np.sort(load_digits().target))
    again = workplace.run("train.py", "-m", *_FOLDS, "data.fold=1,2", "resume=true", "preview=true")
    assert again.returncode == 0 and again.stdout.count("skip: finished") == 2, again.stderr
    # What a fold has trained on, another tests.
    weights = f"weights=runs:/{runs['lenet-freeze0-fold1-seed0'].info.run_id}"
    words = (*_FOLDS, weights, f"tracking.uri={workplace.store}")
    fetched = fetch_run_weights(config_of(*words))
    assert prepare(config_of(*words, "data.fold=1"), weights=fetched)
    with pytest.raises(ConfigError, match=r"as it did: data\.fold=1$"):
        prepare(config_of(*words, "data.fold=2"), weights=fetched)


def _tested_labels(folder: Path) -> np.ndarray:
    [path] = folder.rglob("predictions.npz")
    return np.load(path)["labels"]
