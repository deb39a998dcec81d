"""A job that cannot train on stored features hears so before a run of it exists."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.conftest import TINY, config_of
from transfer.features import check
from transfer.features.check import require_stored_features
from transfer.features.stored import passes
from transfer.job import Job, prepare
from transfer.models.cut import UncutError
from transfer.system.errors import ConfigError
from transfer.system.memory import memory_size

WHOLE = ("model=mobilenet_v3_small", "frozen_features=cache", "feature_views=3")
WORDS = (*WHOLE, *TINY)


@pytest.fixture(scope="module")
def job() -> Job:
    return prepare(config_of(*WORDS))


@pytest.fixture(autouse=True)
def _untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "_tried", {})


def _require(job: Job, *, tune: str = "head", made: list[str] | None = None) -> None:
    def make() -> nn.Module:
        (made if made is not None else []).append(tune)
        return job.model()

    require_stored_features(job.config, tune, job.data, job.device, make)


def test_a_cut_is_tried_once_in_a_process(job: Job) -> None:
    made: list[str] = []
    for _ in range(3):
        for tune in ("head", "last:1"):
            _require(job, tune=tune, made=made)
    assert made == ["head", "last:1"]


def test_what_the_disk_does_not_take_is_refused(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    # 576 numbers an image: what the head of MobileNetV3-small reads.
    images = 3 * len(job.data.train) + len(job.data.val) + len(job.data.test)
    size = images * 576 * (2 if job.config.precision == "bfloat16" else 4) / 1e9
    monkeypatch.setenv("TRANSFER_CACHE_GB", f"{size}")
    monkeypatch.setenv("TRANSFER_CACHE", "/nowhere/yet")
    _require(job)
    monkeypatch.setenv("TRANSFER_CACHE_GB", f"{size / 2}")
    # Another folder, for a process has one cache a folder.
    monkeypatch.setenv("TRANSFER_CACHE", "/nowhere/else")
    with pytest.raises(ConfigError, match="fewer feature_views or a smaller image_size") as no:
        _require(job)
    assert f"takes {size:.2g} GB of {images} images, more than the {size / 2:.2g} GB" in str(
        no.value
    )
    assert "TRANSFER_CACHE_GB" in str(no.value) and "frozen_features=exact" in str(no.value)


def test_with_folds_what_is_counted_is_the_pass_over_all_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for words, images in (
        ("data.fold=0", (3 + 1) * 1797),
        ("data.fold=0 feature_views=0", 1797),
        # No more than what is used.
        ("data.fold=0 data.train_per_class=2", 3 * 20 + 143 + 360),
    ):
        folded = prepare(config_of(*WHOLE, *words.split()))
        assert sum(map(len, passes(folded.data, folded.config))) == images
        size = images * 576 * (2 if folded.config.precision == "bfloat16" else 4) / 1e9
        no = pytest.raises(ConfigError, match=f"of {images:,} images, more than the")
        for share, refused in ((1.01, nullcontext()), (0.99, no)):
            room = share * size
            monkeypatch.setenv("TRANSFER_CACHE_GB", f"{room}")
            monkeypatch.setenv("TRANSFER_CACHE", f"{tmp_path}/{room}")
            with refused:
                _require(folded)


def test_what_memory_does_not_take_is_refused(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 10**8 < memory_size(torch.device("cpu")) < 2**62
    monkeypatch.setattr(check, "memory_size", lambda _: 10**5)
    with pytest.raises(ConfigError, match=r"more than half of the memory, 5e-05 GB, or take a sm"):
        _require(job)


def test_a_model_that_cannot_be_cut_is_refused(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UncutError("its first trained layer is not given one tensor")

    monkeypatch.setattr(check, "require_cut", refuse)
    with pytest.raises(ConfigError, match="mobilenet_v3_small cannot be cut for last:1"):
        _require(job, tune="last:1")
