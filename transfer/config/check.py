"""Checks that types cannot make: ranges, and keys that must agree with each other."""

from __future__ import annotations

import math
from collections.abc import Iterable

from transfer.config.schema import (
    AdamConfig,
    AugmentConfig,
    Config,
    CosineConfig,
    DataConfig,
    ImageFolderConfig,
    OneCycleConfig,
    OptimizerConfig,
    PlateauConfig,
    ProtocolConfig,
    ScheduleConfig,
    SgdConfig,
)
from transfer.system.errors import ConfigError

PRECISIONS = ("auto", "float32", "bfloat16")


def check_config(config: Config) -> None:
    """Raise ConfigError at the first value that cannot work; touches no file and no device."""
    _at_least("epochs", config.epochs, 1)
    _check_freeze(config)
    _positive("unfreeze_lr", config.unfreeze_lr)
    _between("label_smoothing", config.label_smoothing, 0, 0.999)
    _between("image_size", config.image_size, 8, 1024)
    # BatchNorm cannot estimate a variance from one image.
    _at_least("batch_size", config.batch_size, 2)
    _between("seed", config.seed, 0, 2**31 - 1)
    _one_of("precision", config.precision, PRECISIONS)
    _check_frozen_features(config)
    _check_device(config.device)
    _check_data(config.data)
    _check_optimizer(config.optimizer)
    _check_schedule(config.schedule)
    _check_protocol(config.protocol)
    _between("tracking.patience_s", config.tracking.patience_s, 0, 86_400)


def _check_freeze(config: Config) -> None:
    if not 0 <= config.freeze_epochs <= config.epochs:
        raise ConfigError(
            "freeze_epochs",
            config.freeze_epochs,
            f"must be from 0 (train everything) to epochs={config.epochs} (train the head only)",
        )


def _check_frozen_features(config: Config) -> None:
    _one_of("frozen_features", config.frozen_features, ("exact", "cache"))
    _between("feature_views", config.feature_views, 0, 1000)
    if config.frozen_features == "exact":
        return
    if config.protocol.frozen_batchnorm == "drifting":
        problem = "needs a backbone that stays as it is: protocol.frozen_batchnorm=fixed"
        raise ConfigError("frozen_features", "cache", problem)
    if config.model.name in config.protocol.augment_evaluation_of:
        problem = "evaluates images as they are: protocol.augment_evaluation_of=[]"
        raise ConfigError("frozen_features", "cache", problem)


def _check_device(device: str) -> None:
    kind, _, index = device.partition(":")
    named = kind in ("auto", "cpu", "cuda", "mps")
    if not named or (index and not (kind == "cuda" and index.isdigit())):
        raise ConfigError("device", device, "choose from auto, cpu, cuda, cuda:<number>, mps")


def _check_data(data: DataConfig) -> None:
    _between("data.seed", data.seed, 0, 2**31 - 1)
    _between("data.validation_fraction", data.validation_fraction, 0.01, 0.5)
    _between("data.test_fraction", data.test_fraction, 0.01, 0.5)
    if data.train_per_class is not None:
        _at_least("data.train_per_class", data.train_per_class, 1)
    _at_least("data.resident_gb", data.resident_gb, 0)
    for name, values in (("mean", data.mean), ("std", data.std)):
        if values is not None and len(values) != 3:
            raise ConfigError(
                f"data.{name}", values, "give three numbers (red, green, blue) or null"
            )
    for value in data.mean or []:
        _between("data.mean", value, 0, 1)
    for value in data.std or []:
        _positive("data.std", value)
    if isinstance(data, ImageFolderConfig):
        if not data.root:
            raise ConfigError("data.root", data.root, "give the folder that holds train/<class>/")
        _one_of("data.on_bad_image", data.on_bad_image, ("fail", "skip"))
        for name in ("train_folder", "val_folder", "test_folder"):
            folder = getattr(data, name)
            if folder is not None and not folder.strip():
                raise ConfigError(f"data.{name}", "''", "give the folder's name below data.root")
    _check_augment(data.augment)


def _check_augment(augment: AugmentConfig) -> None:
    _between("data.augment.crop_padding", augment.crop_padding, 0, 64)
    for name in ("brightness", "contrast", "saturation"):
        _between(f"data.augment.{name}", getattr(augment, name), 0, 1)
    _between("data.augment.hue", augment.hue, 0, 0.5)
    _between("data.augment.rotation", augment.rotation, 0, 180)


def _check_optimizer(optimizer: OptimizerConfig) -> None:
    _one_of("optimizer.name", optimizer.name, ("adam", "adamw", "sgd"))
    _positive("optimizer.lr", optimizer.lr)
    _between("optimizer.weight_decay", optimizer.weight_decay, 0, 10)
    _between("optimizer.backbone_lr_ratio", optimizer.backbone_lr_ratio, 1e-6, 1)
    if isinstance(optimizer, AdamConfig):
        if len(optimizer.betas) != 2:
            raise ConfigError("optimizer.betas", optimizer.betas, "give two numbers from 0 to 1")
        for beta in optimizer.betas:
            _between("optimizer.betas", beta, 0, 0.999999)
    if isinstance(optimizer, SgdConfig):
        _between("optimizer.momentum", optimizer.momentum, 0, 0.999999)
        if optimizer.nesterov and optimizer.momentum == 0:
            raise ConfigError("optimizer.nesterov", True, "needs optimizer.momentum above 0")


def _check_schedule(schedule: ScheduleConfig) -> None:
    if isinstance(schedule, PlateauConfig):
        _between("schedule.factor", schedule.factor, 0.001, 0.999)
        _at_least("schedule.patience", schedule.patience, 0)
    if isinstance(schedule, OneCycleConfig):
        _between("schedule.rise_fraction", schedule.rise_fraction, 0, 1)
        _positive("schedule.start_divisor", schedule.start_divisor)
        _positive("schedule.end_divisor", schedule.end_divisor)
    if isinstance(schedule, CosineConfig):
        _between("schedule.warmup_epochs", schedule.warmup_epochs, 0, math.inf)
        _between("schedule.end_fraction", schedule.end_fraction, 0, 1)


def _check_protocol(protocol: ProtocolConfig) -> None:
    _one_of("protocol.validation", protocol.validation, ("held_out", "test"))
    _one_of("protocol.result", protocol.result, ("best", "last"))
    _one_of("protocol.frozen_batchnorm", protocol.frozen_batchnorm, ("fixed", "drifting"))


def _at_least(key: str, value: float, low: float) -> None:
    if not value >= low:
        raise ConfigError(key, value, f"must be at least {low}")


def _between(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(key, value, f"must be from {low} to {high}")


def _positive(key: str, value: float) -> None:
    if not (0 < value < math.inf):
        raise ConfigError(key, value, "must be a number above 0")


def _one_of(key: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise ConfigError(key, value, f"choose from {', '.join(choices)}")
