"""What every YAML file under conf/ must fit.

Hydra checks each composed value against these types, so a misspelt key or a word where
a number belongs stops before anything runs. Units and choices stand beside each key in
conf/, where people look for them; checks that need more than one key are in check.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class ModelConfig:
    name: str = MISSING


@dataclass
class AugmentConfig:
    crop_padding: int = 0
    flip: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    rotation: float = 0.0


@dataclass
class DataConfig:
    name: str = MISSING
    root: str | None = None
    seed: int = 0
    validation_fraction: float = 0.1
    test_fraction: float = 0.2
    train_per_class: int | None = None
    resident_gb: float = 4.0
    mean: list[float] | None = None
    std: list[float] | None = None
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass
class ImageFolderConfig(DataConfig):
    train_folder: str = "train"
    val_folder: str | None = "val"
    test_folder: str | None = "test"
    on_bad_image: str = "fail"


@dataclass
class OptimizerConfig:
    name: str = MISSING
    lr: float = MISSING
    weight_decay: float = 0.0
    backbone_lr_ratio: float = 1.0
    # Of Config.unfreeze_lr, which takes it over unless it is given.
    unfreeze_lr: float = 1e-4


@dataclass
class AdamConfig(OptimizerConfig):
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])


@dataclass
class SgdConfig(OptimizerConfig):
    momentum: float = 0.9
    nesterov: bool = True


@dataclass
class ScheduleConfig:
    name: str = MISSING


@dataclass
class PlateauConfig(ScheduleConfig):
    factor: float = 0.5
    patience: int = 2


@dataclass
class OneCycleConfig(ScheduleConfig):
    rise_fraction: float = 0.3
    start_divisor: float = 25.0
    end_divisor: float = 10_000.0


@dataclass
class CosineConfig(ScheduleConfig):
    warmup_epochs: float = 1.0
    end_fraction: float = 0.0


@dataclass
class ProtocolConfig:
    validation: str = "held_out"
    result: str = "best"
    augment_evaluation_of: list[str] = field(default_factory=list)
    frozen_batchnorm: str = "fixed"


@dataclass
class TrackingConfig:
    uri: str | None = None
    log_model: bool = False
    patience_s: float = 60.0


@dataclass
class Config:
    """One job, as composed: every choice that makes a training what it is."""

    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    optimizer: OptimizerConfig = MISSING
    schedule: ScheduleConfig = MISSING
    weights: str = "starter"
    epochs: int = 40
    freeze_epochs: int = 5
    unfreeze_lr: float = 1e-4
    label_smoothing: float = 0.0
    image_size: int = 32
    batch_size: int = 64
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    frozen_features: str = "exact"
    feature_views: int = 0
    resume: bool = False
    preview: bool = False
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


_SCHEMAS: dict[str, Any] = {
    "config": Config,
    "model": ModelConfig,
    "data": DataConfig,
    "image_folder": ImageFolderConfig,
    "adam": AdamConfig,
    "sgd": SgdConfig,
    "schedule": ScheduleConfig,
    "plateau": PlateauConfig,
    "one_cycle": OneCycleConfig,
    "cosine": CosineConfig,
}


def register_schema() -> None:
    """Make the schema known to Hydra. Call once, before ``@hydra.main`` composes."""
    store = ConfigStore.instance()
    # Of no group: beside the YAML files they would be listed as choices.
    for name, node in _SCHEMAS.items():
        store.store(name=f"{name}_schema", node=node)
