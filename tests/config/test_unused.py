"""A key that was typed and that no epoch uses is refused; one that a file brings is not."""

from __future__ import annotations

import pytest

from tests.conftest import Workplace, config_of
from transfer.config import Config, flatten, refuse_unused
from transfer.config.unused import unused_keys
from transfer.system.errors import ConfigError


def _typed(*overrides: str) -> Config:
    """What a single run gets, of whose overrides it must use each."""
    config = config_of(*overrides)
    refuse_unused([(config, overrides)])
    return config


@pytest.mark.parametrize(
    ("overrides", "key", "user"),
    [
        ("freeze_epochs=0 optimizer.head_lr=1", "optimizer.head_lr", "freeze_epochs above 0"),
        ("freeze_epochs=0 optimizer.head_lr=1e-3", "optimizer.head_lr", "optimizer.lr"),
        ("freeze_epochs=14 optimizer.lr=1", "optimizer.lr", "freeze_epochs below epochs"),
        ("freeze_epochs=14 ++optimizer.lr=1", "optimizer.lr", "optimizer.head_lr"),
        ("epochs=5 optimizer.backbone_lr_scale=0.1", "optimizer.backbone_lr_scale", "below epochs"),
        (
            "optimizer.decay_norms=true optimizer.weight_decay=0",
            "optimizer.decay_norms",
            "optimizer.weight_decay above 0",
        ),
        ("deploy_rows=all", "deploy_rows", "deploy=onnx,int8"),
        ("device=cpu cuda_graphs=false", "cuda_graphs", "device=auto or cuda"),
        ("tune=head freeze_epochs=5", "freeze_epochs", "tune=all, tune=last:<k>, tune=norm"),
        ("tune=head optimizer.lr=1", "optimizer.lr", "or else optimizer.head_lr"),
        ("tune=head optimizer.layer_decay=0.9", "optimizer.layer_decay", "tune=all"),
        ("epochs=5 optimizer.layer_decay=0.9", "optimizer.layer_decay", "below epochs"),
        ("tune=last:1 epochs=5", "tune", "freeze_epochs below epochs"),
        ("tune=norm freeze_epochs=0 frozen_features=cache", "frozen_features", "tune=last:<k>"),
        (
            "tune=last:1 frozen_features=cache augment.flip=true",
            "augment.flip",
            "feature_views above 0",
        ),
        ("data.root=x", "data.root", "data=image_folder"),
        ("feature_views=3", "feature_views", "frozen_features=cache"),
        ("feature_views=3 frozen_features=cache freeze_epochs=0", "feature_views", "above 0"),
        ("feature_views=3 freeze_epochs=0", "feature_views", "above 0, tune=head or tune=last:<k>"),
        (
            "augment=none feature_views=3 frozen_features=cache tune=head",
            "feature_views",
            "an augmentation, such as augment=photo",
        ),
        (
            "augment=none augment.mixup=1 feature_views=3 frozen_features=cache freeze_epochs=5",
            "feature_views",
            "augment=photo",
        ),
        ("frozen_features=cache freeze_epochs=0", "frozen_features", "freeze_epochs above 0"),
        ("data=cifar10 data.test_fraction=0.3", "data.test_fraction", "data=digits"),
        ("data=fashion_mnist data.test_fraction=0.2", "data.test_fraction", "data=image_folder"),
        ("data.folds=3", "data.folds", "data.fold='range(5)'"),
        ("data=cifar10 data.folds=3", "data.folds", "data=digits"),
        ("data.fold=0 data.test_fraction=0.3", "data.test_fraction", "data.fold=null"),
        (
            "protocol.frozen_batchnorm=drifting freeze_epochs=0",
            "protocol.frozen_batchnorm",
            "freeze_epochs above 0",
        ),
        (
            "protocol.validation=test data.validation_fraction=0.2",
            "data.validation_fraction",
            "protocol.validation=held_out",
        ),
        ("data=cifar10 protocol.validation=test data.seed=1", "data.seed", "validation=held_out"),
        (
            "protocol.augment_evaluation_of=[nonsense]",
            "protocol.augment_evaluation_of",
            "a list with resnet18 in it",
        ),
        (
            "epochs=5 frozen_features=cache augment={flip:true}",
            "augment.flip",
            "feature_views above 0",
        ),
        (
            "epochs=5 frozen_features=cache feature_views=2 augment.cutmix=1",
            "augment.cutmix",
            "exact features",
        ),
        (
            "epochs=5 frozen_features=cache augment.mixup=1",
            "augment.mixup",
            "feature_views above 0, exact features",
        ),
        ("tune=head batchnorm_momentum=published", "batchnorm_momentum", "tune=last:<k>"),
        ("epochs=5 batchnorm_momentum=fitted", "batchnorm_momentum", "freeze_epochs below epochs"),
        ("augment.mix_probability=1", "augment.mix_probability", "augment.cutmix above 0"),
    ],
)
def test_refused_where_the_job_does_not_use_it(overrides: str, key: str, user: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _typed(*overrides.split())
    assert refused.value.key == key
    assert "this job does not use it; what would: " in str(refused.value)
    assert user in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "overrides",
    [
        "freeze_epochs=0 optimizer.lr=1",
        "freeze_epochs=14 optimizer.head_lr=1",
        "tune=head optimizer.head_lr=1 frozen_features=cache epochs=3",
        "tune=last:2 freeze_epochs=0 frozen_features=cache feature_views=2",
        "tune=last:2 freeze_epochs=0 protocol.frozen_batchnorm=drifting optimizer.layer_decay=0.7",
        "tune=norm freeze_epochs=5 optimizer.layer_decay=0.7",
        "freeze_epochs=5 optimizer.lr=1 optimizer.head_lr=1 optimizer.backbone_lr_scale=0.1",
        "optimizer=sgd schedule=one_cycle data=digits model=simple_cnn experiment=fast",
        "experiment=article_as_published freeze_epochs=0",
        "experiment=fast data=cifar10 data.root=x",
        "data=image_folder data.root=x data.test_fraction=0.3",
        "frozen_features=exact feature_views=0 freeze_epochs=0",
        "data.fold=2 data.folds=3 data.seed=1",
        "protocol.augment_evaluation_of=[] protocol.frozen_batchnorm=fixed freeze_epochs=0",
        "frozen_features=cache feature_views=3 augment.flip=true epochs=5",
        "frozen_features=cache feature_views=3 augment=none augment.hue=0.1 epochs=5",
        "epochs=5 batchnorm_momentum=published protocol.frozen_batchnorm=drifting",
        "tune=head batchnorm_momentum=published model=timm model.name=levit_128s",
    ],
)
def test_taken_where_it_does(overrides: str) -> None:
    _typed(*overrides.split())


def test_in_a_sweep_one_job_that_uses_it_is_enough() -> None:
    def job(*typed: str) -> tuple[Config, list[str]]:
        return config_of(*typed), list(typed)

    frozen = job("freeze_epochs=5", "optimizer.head_lr=0.1")
    others = [job(f"freeze_epochs={each}", "optimizer.head_lr=0.1") for each in (0, 0)]
    refuse_unused([*others, frozen])
    with pytest.raises(ConfigError, match=r"^optimizer\.head_lr=0\.1: none of these jobs uses it"):
        refuse_unused(others)
    refuse_unused([])


def test_every_unused_key_is_one_of_the_job() -> None:
    for overrides in ("freeze_epochs=0", "epochs=5 frozen_features=cache", "data=cifar10"):
        config = config_of(*overrides.split())
        assert unused_keys(config) and unused_keys(config).keys() <= flatten(config).keys()


@pytest.mark.parametrize(
    "overrides",
    [
        "optimizer=adam optimizer.name=sgd",
        "freeze_epochs=0 optimizer.head_lr=1",
        "data=digits data.root=x",
    ],
)
def test_as_a_command(workplace: Workplace, overrides: str) -> None:
    process = workplace.run("train.py", *overrides.split())
    assert process.returncode == 2
    assert len(process.stderr.splitlines()) == 1
    assert workplace.runs() == []
