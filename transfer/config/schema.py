"""What every YAML file under conf/ must fit: of each key its type, default, range or choices, and
whether it is part of a result's identity and of a comparison.

Hydra checks each composed value against the types, so a misspelt key or a word where a number
belongs stops before anything runs. The checks, the fingerprint and the report's columns are loops
over the rest. The comments in conf/ say the same, where people look for it.

A default counts as "not chosen": fingerprints leave it out. So a new key gets a default that
changes nothing, and renames nothing; whoever moves a default of an old one raises RECIPE_VERSION.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from transfer.config.key import key, leaves

# Where files lie and what runs on what changes no number, and is not compared.
_CIRCUMSTANCE = {"identity": False, "compared": False}
_LARGEST_SEED = 2**31 - 1


@dataclass
class ModelConfig:
    name: str = key(MISSING)
    # Puts itself before the name, so that the name alone says which model it is.
    library: str | None = key(None, choices=("timm",), **_CIRCUMSTANCE)


@dataclass
class AugmentConfig:
    """How training images are augmented; the defaults are none at all.

    A choice of the group is the values in its file, and a result has its name from those: the same
    ones by another way are the same training.
    """

    name: str = key(MISSING, identity=False)
    crop_scale: float = key(1.0, above=0, high=1)
    crop_padding: int = key(0, low=0, high=64, unit="pixels")
    flip: bool = key(False)
    trivial: bool = key(False)
    brightness: float = key(0.0, low=0, high=1)
    contrast: float = key(0.0, low=0, high=1)
    saturation: float = key(0.0, low=0, high=1)
    hue: float = key(0.0, low=0, high=0.5)
    rotation: float = key(0.0, low=0, high=180, unit="degrees")
    # Below, Beta is 0 or 1 within what a float can tell.
    mixup: float = key(0.0, low=0.01, high=100, off=0)
    cutmix: float = key(0.0, low=0.01, high=100, off=0)
    mix_probability: float = key(0.5, above=0, high=1)


# Equal but for their names: a node's class tells which choice was composed, so that a name that
# says another is refused (transfer/config/check.py).
class NoAugmentConfig(AugmentConfig):
    pass


class CharactersConfig(AugmentConfig):
    pass


class CropFlipConfig(AugmentConfig):
    pass


class PhotoConfig(AugmentConfig):
    pass


class TrivialConfig(AugmentConfig):
    pass


class ArticleConfig(AugmentConfig):
    pass


@dataclass
class DataConfig:
    """Which images are used is in their digest, so their set's name and folders name no result."""

    name: str = key(MISSING, identity=False)
    root: str | None = key(None, **_CIRCUMSTANCE)
    seed: int = key(0, low=0, high=_LARGEST_SEED)
    validation_fraction: float = key(0.1, low=0.01, high=0.5)
    test_fraction: float = key(0.2, low=0.01, high=0.5)
    fold: int | None = key(None, low=0, compared=False)
    folds: int = key(5, low=2, high=100)
    train_per_class: int | None = key(None, low=1, unit="images")
    resident_gb: float = key(4.0, low=0, unit="GB", **_CIRCUMSTANCE)
    normalization: str = key("weights", choices=("weights", "images"))
    mean: list[float] | None = key(None, low=0, high=1, length=3)
    std: list[float] | None = key(None, above=0, length=3)


class DigitsConfig(DataConfig):
    """Comes with scikit-learn."""


@dataclass
class DownloadedConfig(DataConfig):
    """A set with a test split of its own."""

    root: str | None = key("data", **_CIRCUMSTANCE)


class Cifar10Config(DownloadedConfig):
    pass


class Cifar100Config(DownloadedConfig):
    pass


class FashionMnistConfig(DownloadedConfig):
    pass


@dataclass
class PicturesConfig(DataConfig):
    """Your own, of whatever size, as a camera or the web gives them."""

    fit: str = key("crop", choices=("crop", "squash", "pad"))
    stored_size: int | None = key(None, low=8, high=2048, unit="pixels")
    on_bad_image: str = key("fail", choices=("fail", "skip"), **_CIRCUMSTANCE)


@dataclass
class ImageFolderConfig(PicturesConfig):
    train_folder: str = key("train", **_CIRCUMSTANCE)
    val_folder: str | None = key("val", **_CIRCUMSTANCE)
    test_folder: str | None = key("test", **_CIRCUMSTANCE)


@dataclass
class ShardsConfig(PicturesConfig):
    split_by: str = key("image", choices=("image", "shard"))


@dataclass
class OptimizerConfig:
    name: str = key(MISSING)
    lr: float = key(MISSING, above=0)
    head_lr: float = key(MISSING, above=0)
    backbone_lr_scale: float = key(1.0, above=0, high=1)
    weight_decay: float = key(0.0, low=0, high=10)
    decay_norms: bool = key(False)
    layer_decay: float = key(1.0, above=0, high=1)


@dataclass
class AdamConfig(OptimizerConfig):
    lr: float = key(1e-3, above=0)
    head_lr: float = key(1e-3, above=0)
    weight_decay: float = key(1e-4, low=0, high=10)
    betas: list[float] = key([0.9, 0.999], low=0, below=1, length=2)


@dataclass
class AdamWConfig(AdamConfig):
    weight_decay: float = key(1e-2, low=0, high=10)


@dataclass
class SgdConfig(OptimizerConfig):
    lr: float = key(1e-2, above=0)
    head_lr: float = key(1e-2, above=0)
    weight_decay: float = key(5e-4, low=0, high=10)
    momentum: float = key(0.9, low=0, below=1)
    nesterov: bool = key(True)


@dataclass
class ScheduleConfig:
    name: str = key(MISSING)


@dataclass
class PlateauConfig(ScheduleConfig):
    factor: float = key(0.5, above=0, below=1)
    patience: int = key(2, low=0, unit="epochs")


@dataclass
class OneCycleConfig(ScheduleConfig):
    """The words are torch's, of OneCycleLR."""

    pct_start: float = key(0.3, low=0, high=1)
    div_factor: float = key(25.0, above=0)
    final_div_factor: float = key(10_000.0, above=0)


@dataclass
class CosineConfig(ScheduleConfig):
    warmup_epochs: float = key(1.0, low=0, unit="epochs")
    end_fraction: float = key(0.0, low=0, high=1)


class ConstantConfig(ScheduleConfig):
    pass


@dataclass
class ProtocolConfig:
    validation: str = key("held_out", choices=("held_out", "test"))
    result: str = key("best", choices=("best", "last"))
    augment_evaluation_of: list[str] = key([])
    frozen_batchnorm: str = key("fixed", choices=("fixed", "drifting"))


@dataclass
class TrackingConfig:
    uri: str | None = key(None, **_CIRCUMSTANCE)
    weights: str = key("all", choices=("all", "best", "none"), **_CIRCUMSTANCE)
    log_model: bool = key(False, **_CIRCUMSTANCE)
    examples: int = key(500, low=0, high=500, unit="images", **_CIRCUMSTANCE)
    patience_s: float = key(60.0, low=0, high=86_400, unit="seconds", **_CIRCUMSTANCE)


@dataclass
class Config:
    """One job, as composed: every choice that makes a training what it is."""

    model: ModelConfig = MISSING
    data: DataConfig = MISSING
    augment: AugmentConfig = MISSING
    optimizer: OptimizerConfig = MISSING
    schedule: ScheduleConfig = MISSING
    # Their digest names the result. Composed, it may be a mapping; a checked job has the source of
    # its own model (transfer/config/weights.py).
    weights: Any = key("starter", identity=False)
    epochs: int = key(14, low=1, unit="epochs")
    freeze_epochs: int = key(5, low=0, unit="epochs")
    # A word of transfer/config/tune.py.
    tune: str = key("all")
    class_weights: str = key("none", choices=("none", "balanced"))
    select_by: str = key("acc", choices=("acc", "balanced_acc", "loss"))
    batchnorm_momentum: str = key("fitted", choices=("fitted", "published"))
    label_smoothing: float = key(0.0, low=0, below=1)
    image_size: int = key(32, low=8, high=1024, unit="pixels")
    # BatchNorm cannot estimate a variance from one image.
    batch_size: int = key(64, low=2, unit="images")
    seed: int = key(0, low=0, high=_LARGEST_SEED, compared=False)
    device: str = key("auto", **_CIRCUMSTANCE)
    jobs_per_gpu: int | None = key(None, low=1, high=100, unit="jobs", **_CIRCUMSTANCE)
    # What "auto" comes to is a circumstance, as the device is; what was asked for is a choice.
    precision: str = key("auto", choices=("auto", "float32", "bfloat16"))
    cuda_graphs: bool = key(True, **_CIRCUMSTANCE)
    frozen_features: str = key("exact", choices=("exact", "cache"))
    feature_views: int = key(0, low=0, high=1000, unit="views")
    # Where a job pauses; what it gives in the end is the same.
    stop_after: int | None = key(None, low=1, unit="epochs", **_CIRCUMSTANCE)
    # A duration, as transfer/config/duration.py reads it.
    budget: str | None = key(None, **_CIRCUMSTANCE)
    # Words of transfer/config/deploy.py; a list, too, comes as far as the check, which says so.
    deploy: Any = key(None, **_CIRCUMSTANCE)
    deploy_rows: str = key("front", choices=("front", "all"), **_CIRCUMSTANCE)
    resume: bool = key(False, **_CIRCUMSTANCE)
    preview: bool = key(False, **_CIRCUMSTANCE)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


# The choices of each group, by the name that the key has and, in conf/, the file.
GROUPS: dict[str, dict[str, type]] = {
    "data": {
        "digits": DigitsConfig,
        "cifar10": Cifar10Config,
        "cifar100": Cifar100Config,
        "fashion_mnist": FashionMnistConfig,
        "image_folder": ImageFolderConfig,
        "shards": ShardsConfig,
    },
    "augment": {
        "none": NoAugmentConfig,
        "characters": CharactersConfig,
        "crop_flip": CropFlipConfig,
        "photo": PhotoConfig,
        "trivial": TrivialConfig,
        "article": ArticleConfig,
    },
    "optimizer": {"adam": AdamConfig, "adamw": AdamWConfig, "sgd": SgdConfig},
    "schedule": {
        "plateau": PlateauConfig,
        "one_cycle": OneCycleConfig,
        "cosine": CosineConfig,
        "constant": ConstantConfig,
    },
}
_CLASSES: list[tuple[str, type]] = [("", Config), ("model.", ModelConfig)]
_CLASSES += [(f"{group}.", cls) for group, choices in GROUPS.items() for cls in choices.values()]
# Every key that some job can have.
KEYS = {name: declared for prefix, cls in _CLASSES for name, declared, _ in leaves(cls(), prefix)}


def register_schema() -> None:
    """Make the schema known to Hydra. Call once, before ``@hydra.main`` composes."""
    nodes = {"config": Config, "model": ModelConfig}
    for choices in GROUPS.values():
        nodes |= choices
    # Of no group: beside the YAML files they would be listed as choices.
    for name, node in nodes.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=node)
