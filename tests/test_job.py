"""A job made ready: what it costs and what names its result."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import PLAIN, Sweep, config_of
from transfer.job import Job, prepare
from transfer.system.errors import ConfigError
from transfer.tracking.run_weights import fetch_run_weights


def test_facts_of_a_job() -> None:
    job = prepare(config_of("model=mobilenet_v3_small"))
    assert job.name == "mobilenet_v3_small-freeze5-seed0"
    assert job.parameters == 1_528_106
    assert job.trainable_parameters == 601_098
    assert 2.1e6 < job.macs < 2.3e6
    # Depthwise convolutions are faster so on every CPU.
    assert job.config.precision == "float32" or job.device.type == "cuda"


def test_rates_that_no_epoch_uses_make_no_other_training() -> None:
    def prepared(*overrides: str) -> Job:
        return prepare(config_of(*PLAIN, "epochs=8", *overrides))

    for words, idle in (("freeze_epochs=0", "optimizer.lr"), ("freeze_epochs=8", "unfreeze_lr")):
        one, other = (prepared(words, f"{idle}={rate}") for rate in (0.1, 0.2))
        assert one.fingerprint != other.fingerprint and one.training == other.training
        mixed = [prepared("freeze_epochs=2", f"{idle}={rate}").training for rate in (0.1, 0.2)]
        assert mixed[0] != mixed[1]
    assert prepared("seed=1").training != prepared("seed=2").training


def test_the_same_weights_each_time() -> None:
    job = prepare(config_of(*PLAIN))
    first, second = job.model().state_dict(), job.model().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_weights_that_have_seen_the_test_images_are_refused(sweep: Sweep) -> None:
    [run, *_] = [each for each in sweep.workplace.runs() if "resnet18" in each.info.run_name]
    store = f"tracking.uri={sweep.workplace.store}"
    words = ("model=resnet18", store, f"weights=runs:/{run.info.run_id}")
    config = config_of(*words)
    weights = fetch_run_weights(config)
    assert prepare(config, weights=weights).weights.source.startswith("runs:/")
    with pytest.raises(ConfigError, match=r"split as it did: data\.seed=0"):
        prepare(config_of(*words, "data.seed=1"), weights=weights)


def test_any_torchvision_classifier_by_name() -> None:
    job = prepare(config_of("model=torchvision", "model.name=shufflenet_v2_x0_5", "weights=none"))
    assert job.name == "shufflenet_v2_x0_5-freeze5-seed0"
    with pytest.raises(ConfigError, match=r"model\.name=resnet19"):
        prepare(config_of("model=torchvision", "model.name=resnet19", "weights=none"))
