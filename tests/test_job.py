"""A job made ready: what it costs and what names its result."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.conftest import PLAIN, TINY, Sweep, Workplace, children, config_of
from transfer.compare.keys import FOUND
from transfer.config import flatten
from transfer.config.schema import KEYS
from transfer.job import Job, memory_explained, prepare
from transfer.models.families import build_model
from transfer.system.errors import ConfigError, UserError
from transfer.tracking.run_weights import fetch_run_weights


def test_facts_of_a_job() -> None:
    job = prepare(config_of("model=mobilenet_v3_small"))
    assert job.name == "mobilenet_v3_small-freeze5-seed0"
    assert job.parameters == 1_528_106
    assert job.trainable_parameters == 601_098
    assert 2.1e6 < job.macs < 2.3e6
    # Depthwise convolutions are faster so on every CPU.
    assert job.config.precision == "float32" or job.device.type == "cuda"
    assert prepare(config_of(*PLAIN, "data.fold=2")).name == "simple_cnn-freeze5-fold2-seed0"


def test_a_batch_that_is_larger_than_the_training_set_is_told() -> None:
    few = ("data.train_per_class=5", "freeze_epochs=0")
    told = "batch_size=51: an epoch is one batch of all 50 training images\n"
    assert told in str(prepare(config_of(*PLAIN, *few, "batch_size=51")))
    assert "one batch" not in str(prepare(config_of(*PLAIN, *few, "batch_size=50")))


def test_rates_that_no_epoch_uses_make_no_other_result() -> None:
    def prepared(*overrides: str) -> Job:
        return prepare(config_of(*PLAIN, "epochs=8", *overrides))

    rates = (("freeze_epochs=0", "optimizer.head_lr"), ("freeze_epochs=8", "optimizer.lr"))
    for words, idle in rates:
        one, other = (prepared(words, f"{idle}={rate}") for rate in (0.1, 0.2))
        assert one.fingerprint == other.fingerprint and one.configuration == other.configuration
        mixed = [prepared("freeze_epochs=2", f"{idle}={rate}").fingerprint for rate in (0.1, 0.2)]
        assert mixed[0] != mixed[1]
    assert prepared("seed=1").fingerprint != prepared("seed=2").fingerprint


def test_what_auto_comes_to_is_no_part_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {}
    for resolved in ("float32", "bfloat16"):
        monkeypatch.setattr(
            "transfer.job.resolve_precision", lambda *_, found=resolved, **__: found
        )
        job = prepare(config_of(*PLAIN))
        assert job.config.precision == resolved
        names[resolved] = job.fingerprint
    assert names["float32"] == names["bfloat16"]
    assert prepare(config_of(*PLAIN, "precision=bfloat16")).fingerprint not in names.values()


def test_models_that_nobody_has_are_not_evaluated_otherwise() -> None:
    listed = "protocol.augment_evaluation_of"
    prepare(config_of(*PLAIN, f"{listed}=[resnet18,simple_cnn]"))
    with pytest.raises(ConfigError) as refused:
        prepare(config_of(*PLAIN, f"{listed}=[simple_cnn,nonsense]"))
    assert str(refused.value).startswith(f"{listed}=nonsense: ")


def test_a_run_tells_its_configuration_and_what_was_found(sweep: Sweep) -> None:
    """So that each parameter is known as one that a report compares, or does not."""
    started = {"resume", "preview", "stop_after", "budget", "deploy", "deploy_rows"}
    for run in children(sweep.workplace).values():
        known = {*KEYS, *FOUND} - started
        assert set(run.data.params) <= known
        assert {*FOUND, *flatten(config_of())} - started <= set(run.data.params)


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


def test_a_copy_of_a_runs_weights_tells_what_it_has_seen(sweep: Sweep, tmp_path: Path) -> None:
    [run, *_] = [each for each in sweep.workplace.runs() if "resnet18" in each.info.run_name]
    kept = Path(run.data.tags["hydra.output_dir"]) / "weights.safetensors"
    copied = Path(shutil.copy(kept, tmp_path / "mine.safetensors"))
    words = ("model=resnet18", f"weights={copied}")
    assert prepare(config_of(*words)).weights.trained_on is not None
    with pytest.raises(ConfigError, match=r"mine\.safetensors: their run tested on other images"):
        prepare(config_of(*words, "data.seed=1"))
    safetensors.torch.save_file(safetensors.torch.load_file(kept), copied)
    assert prepare(config_of(*words, "data.seed=1")).weights.trained_on is None


def test_a_new_last_layer_beside_a_runs_backbone_is_drawn_apart(
    sweep: Sweep, tmp_path: Path
) -> None:
    """With the run's own seed it would be the one that the run began with."""
    [run, *_] = [each for each in sweep.workplace.runs() if "resnet18" in each.info.run_name]
    store = f"tracking.uri={sweep.workplace.store}"
    config = config_of("model=resnet18", store, f"weights=runs:/{run.info.run_id}")
    weights = fetch_run_weights(config)
    assert weights is not None and weights.state is not None
    same = prepare(config, weights=weights)
    assert "the last layer too, for the classes are the same" in str(same)
    last = same.model().state_dict()["fc.weight"]
    assert torch.equal(last, weights.state["fc.weight"])
    others = replace(weights, classes=tuple("abcdefghij"))
    first = prepare(config_of("model=resnet18")).model().state_dict()["fc.weight"]
    new = prepare(config, weights=others)
    drawn = [new.model().state_dict()["fc.weight"] for _ in range(2)]
    assert torch.equal(*drawn) and not torch.equal(drawn[0], first)
    # A file that does not say whose it is.
    safetensors.torch.save_file(dict(weights.state), tmp_path / "plain.safetensors")
    plain = prepare(config_of("model=resnet18", f"weights={tmp_path}/plain.safetensors"))
    assert not plain.fit.keeps_head
    assert not torch.equal(plain.model().state_dict()["fc.weight"], first)
    # What all the world has was drawn from no seed of ours, and recorded results keep their heads.
    for source in ("starter", "none"):
        torch.manual_seed(0)
        head = build_model("resnet18", 10, 32).state_dict()["fc.weight"]
        recorded = prepare(config_of("model=resnet18", f"weights={source}"))
        assert torch.equal(recorded.model().state_dict()["fc.weight"], head)


def test_any_torchvision_classifier_by_name() -> None:
    job = prepare(config_of("model=torchvision", "model.name=shufflenet_v2_x0_5", "weights=none"))
    assert job.name == "shufflenet_v2_x0_5-freeze5-seed0"
    with pytest.raises(ConfigError, match=r"model\.name=resnet19"):
        prepare(config_of("model=torchvision", "model.name=resnet19", "weights=none"))


# Of address space: enough for the libraries and the digits, and less than the 6.7 GB of the first
# convolution, which must fail by itself: with a little room beside it the next thread could fail.
LIMIT_KB = 6 * 2**20


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
    ],
)
def test_every_allocators_words_are_known(error: Exception) -> None:
    with (
        pytest.raises(
            UserError, match="out of memory with batch_size=64 and image_size=32; try batch_size=32"
        ),
        memory_explained(config_of()),
    ):
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="no luck"), memory_explained(config_of()):
        raise RuntimeError("no luck")


def test_a_job_that_does_not_fit_is_named_and_the_sweep_goes_on(workplace: Workplace) -> None:
    small = (*TINY, "epochs=1", "freeze_epochs=0", "batch_size=50")
    process = workplace.run(
        "train.py", "-m", *PLAIN, *small, "image_size=1024,32", limit_kb=LIMIT_KB
    )
    assert process.returncode == 1, process.stderr
    assert "1 of 2 jobs failed" in process.stderr
    words = "out of memory with batch_size=50 and image_size=1024; try batch_size=25"
    assert words in process.stderr
    assert "Traceback" not in process.stderr
    assert process.stderr.strip().endswith("resume=true")
    runs = {run.data.params.get("image_size"): run for run in workplace.runs()}
    assert runs["1024"].info.status == "FAILED"
    assert words in runs["1024"].data.tags["transfer.error"]
    assert runs["32"].info.status == "FINISHED"
