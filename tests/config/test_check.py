"""Every value that cannot work is refused with its key, its value, and what would do."""

from __future__ import annotations

import pickle

import pytest

from tests.conftest import ROOT, config_of
from transfer.system.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["epochs=0"], "epochs"),
        (["freeze_epochs=-1"], "freeze_epochs"),
        (["freeze_epochs=50", "epochs=40"], "freeze_epochs"),
        (["optimizer.lr=0"], "optimizer.lr"),
        (["optimizer.lr=nan"], "optimizer.lr"),
        (["optimizer.head_lr=inf"], "optimizer.head_lr"),
        (["label_smoothing=1"], "label_smoothing"),
        (["image_size=4"], "image_size"),
        (["batch_size=0"], "batch_size"),
        (["batch_size=1"], "batch_size"),
        (["tracking.patience_s=-1"], "tracking.patience_s"),
        (["seed=-1"], "seed"),
        (["budget=90"], "budget"),
        (["budget=0s"], "budget"),
        (["budget=1m1h"], "budget"),
        (["budget=soon"], "budget"),
        (["deploy=onnx+int8"], "deploy"),
        (["deploy=[onnx,int8]"], "deploy"),
        (["deploy=int8", "tracking.weights=none"], "deploy"),
        (["deploy=pt2", "deploy_rows=some"], "deploy_rows"),
        (["device=gpu"], "device"),
        (["device=cpu:1"], "device"),
        (["device=cuda:"], "device"),
        (["precision=half"], "precision"),
        (["data.validation_fraction=0"], "data.validation_fraction"),
        (["data.train_per_class=0"], "data.train_per_class"),
        (["data.folds=1", "data.fold=0"], "data.folds"),
        (["data.fold=-1"], "data.fold"),
        (["data.resident_gb=-0.1"], "data.resident_gb"),
        (["data.resident_gb=nan"], "data.resident_gb"),
        (["data.mean=[0.5]"], "data.mean"),
        (["data.std=[0.5,0.5,0]"], "data.std"),
        (["augment.rotation=200"], "augment.rotation"),
        (["augment.hue=0.6"], "augment.hue"),
        (["augment.mixup=1e-3"], "augment.mixup"),
        (["augment.cutmix=-1"], "augment.cutmix"),
        (["data=image_folder", "data.root=x", "data.val_folder=' '"], "data.val_folder"),
        (["data=image_folder", "data.root=x", "data.on_bad_image=no"], "data.on_bad_image"),
        (["optimizer.lr=-1"], "optimizer.lr"),
        (["optimizer.backbone_lr_scale=2"], "optimizer.backbone_lr_scale"),
        (["optimizer.backbone_lr_scale=0"], "optimizer.backbone_lr_scale"),
        (["optimizer.betas=[0.9]"], "optimizer.betas"),
        (["optimizer=sgd", "optimizer.momentum=0"], "optimizer.nesterov"),
        (["tune=last:0"], "tune"),
        (["tune=last:-1"], "tune"),
        (["tune=last:1.5"], "tune"),
        (["tune=last"], "tune"),
        (["tune=heads"], "tune"),
        (["frozen_features=stored"], "frozen_features"),
        (["feature_views=-1"], "feature_views"),
        (["frozen_features=cache", "protocol.frozen_batchnorm=drifting"], "frozen_features"),
        (["frozen_features=cache", "protocol.augment_evaluation_of=[resnet18]"], "frozen_features"),
        (["tracking.log_model=true", "tracking.weights=best"], "tracking.log_model"),
        (["tracking.log_model=true", "tracking.weights=none"], "tracking.log_model"),
        (["schedule=plateau", "schedule.factor=1"], "schedule.factor"),
        (["schedule=one_cycle", "schedule.div_factor=0"], "schedule.div_factor"),
        (["schedule=cosine", "schedule.end_fraction=2"], "schedule.end_fraction"),
        (["schedule=cosine", "schedule.warmup_epochs=inf"], "schedule.warmup_epochs"),
        (["optimizer=adam", "optimizer.name=sgd"], "optimizer.name"),
        (["schedule.name=nonsense"], "schedule.name"),
        (["data=digits", "data.name=cifar10"], "data.name"),
    ],
)
def test_refused(overrides: list[str], key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_of(*overrides)
    assert refused.value.key == key
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(f"{key}=")


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("seed=${nothing}", "seed=${nothing}: Interpolation key 'nothing' not found"),
        ("seed=${seed}", "seed=${seed}: Recursive interpolation detected"),
        ("data.mean=${seed}", "data.mean=${seed}: Invalid value assigned: int is not a ListConfig"),
        ("epochs=${data.name}", "epochs=${data.name}: While dereferencing"),
        (
            "data.mean=[0.1,'${nothing}',0.2]",
            "data.mean[1]=${nothing}: Interpolation key 'nothing'",
        ),
        ("model.name=${data.name} data.mean=${seed}", "data.mean=${seed}: Invalid value assigned"),
    ],
)
def test_an_interpolation_that_leads_astray(override: str, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_of(*override.split())
    assert str(refused.value).startswith(line)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ("batch_size=1", "batch_size=1: must be at least 2 images"),
        ("data.train_per_class=0", "data.train_per_class=0: must be at least 1 image"),
        (
            "freeze_epochs=-1",
            "freeze_epochs=-1: must be from 0 (train everything) to epochs=14 (train the head "
            "only)",
        ),
        ("image_size=4", "image_size=4: must be from 8 to 1024 pixels"),
        ("optimizer.lr=inf", "optimizer.lr=inf: must be a finite number, above 0"),
        ("schedule=plateau schedule.factor=1", "schedule.factor=1.0: must be above 0 and below 1"),
        ("data.mean=[0.5]", "data.mean=[0.5]: give a list of 3 numbers or null"),
        ("precision=half", "precision=half: choose from auto, float32, bfloat16"),
        ("data.fold=5", "data.fold=5: must be from 0 to 4 with data.folds=5"),
        (
            "data=cifar10 data.fold=1",
            "data.fold=1: cifar10 has a test set of its own, which all runs share; "
            "data.seed='range(5)' repeats the split of the others",
        ),
        (
            "protocol.validation=test data.fold=0",
            "data.fold=0: each image would steer the training that it tests; "
            "protocol.validation=held_out",
        ),
        (
            "optimizer.name=sgd",
            "optimizer.name=sgd: optimizer=adam is called adam; choose optimizer=sgd",
        ),
        (
            "schedule.name=step",
            "schedule.name=step: schedule=cosine is called cosine; choose schedule=plateau, "
            "schedule=one_cycle, schedule=cosine, schedule=constant",
        ),
    ],
)
def test_a_refusal_says_what_would_do(overrides: str, line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config_of(*overrides.split())
    assert str(refused.value) == line


@pytest.mark.parametrize("freeze_epochs", [0, 3])
def test_nothing_or_everything_may_be_frozen(freeze_epochs: int) -> None:
    config = config_of("epochs=3", f"freeze_epochs={freeze_epochs}")
    assert config.freeze_epochs == freeze_epochs


@pytest.mark.parametrize("data", ["digits", "cifar10", "cifar100", "fashion_mnist"])
@pytest.mark.parametrize("schedule", ["plateau", "one_cycle", "cosine", "constant"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_choice_composes(data: str, schedule: str, optimizer: str) -> None:
    config = config_of(f"data={data}", f"schedule={schedule}", f"optimizer={optimizer}")
    assert (config.data.name, config.schedule.name, config.optimizer.name) == (
        data,
        schedule,
        optimizer,
    )


@pytest.mark.parametrize("experiment", [path.stem for path in (ROOT / "conf/experiment").iterdir()])
def test_every_experiment_composes(experiment: str) -> None:
    root = [] if experiment == "article" else ["data.root=images"]
    config_of(f"experiment={experiment}", *root)


def test_an_error_survives_the_way_out_of_a_worker() -> None:
    error = ConfigError("epochs", 0, "must be at least 1")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "epochs=0: must be at least 1"
