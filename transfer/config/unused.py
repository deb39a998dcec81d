"""Keys that a job has and does not use: a rate of epochs that it has none of, for example.

Typed, they are a mistake that would pass for a result; not typed, they are no part of its identity.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser

from transfer.config.key import leaves
from transfer.config.schema import Config, DownloadedConfig
from transfer.system.errors import ConfigError


def unused_keys(config: Config) -> dict[str, str]:
    """The keys that this job does not use, each with what would use it.

    A switch that is off, such as ``feature_views=0``, is what the job does, and not among them.
    """
    protocol, unused = config.protocol, _unused_normalization(config)
    frozen, cached = config.freeze_epochs > 0, config.frozen_features == "cache"
    all_frozen = config.freeze_epochs == config.epochs
    if not frozen:
        unused["optimizer.head_lr"] = "freeze_epochs above 0, or else optimizer.lr"
        if cached:
            unused["frozen_features"] = "freeze_epochs above 0"
        if protocol.frozen_batchnorm == "drifting":
            unused["protocol.frozen_batchnorm"] = "freeze_epochs above 0"
    if all_frozen:
        rates = "freeze_epochs below epochs"
        unused["optimizer.lr"] = f"{rates}, or else optimizer.head_lr"
        unused["optimizer.backbone_lr_scale"] = rates
    if config.feature_views > 0 and not (frozen and cached):
        unused["feature_views"] = "frozen_features=cache with freeze_epochs above 0"
    unused |= _unused_augmentation(config, stored_only=all_frozen and cached)
    if config.data.name == "digits":
        unused["data.root"] = "data=image_folder, data=cifar10, data=cifar100, data=fashion_mnist"
    if isinstance(config.data, DownloadedConfig):
        unused["data.test_fraction"] = "a set without a test split: data=digits, data=image_folder"
    if protocol.validation == "test":
        unused["data.validation_fraction"] = "protocol.validation=held_out"
    if protocol.augment_evaluation_of and config.model.name not in protocol.augment_evaluation_of:
        unused["protocol.augment_evaluation_of"] = f"a list with {config.model.name} in it"
    return unused


def _unused_augmentation(config: Config, *, stored_only: bool) -> dict[str, str]:
    """Those of the augmentation's keys, as `unused_keys` gives them.

    Args:
        stored_only: the head alone trains, on stored features.
    """
    augment, unused = config.augment, dict[str, str]()
    if augment.mixup == augment.cutmix == 0:
        unused["augment.mix_probability"] = "augment.mixup or augment.cutmix above 0"
    if stored_only:
        # Of images as they are, or augmented, but each of one image.
        for name in ("mixup", "cutmix", "mix_probability"):
            unused[f"augment.{name}"] = "freeze_epochs below epochs, or exact features"
        if config.feature_views == 0:
            needed = "freeze_epochs below epochs, feature_views above 0, or exact features"
            unused |= {name: needed for name, _, _ in leaves(augment, "augment.")}
    return unused


def _unused_normalization(config: Config) -> dict[str, str]:
    if config.weights == "none":
        return {"data.normalization": "weights other than none"}
    if config.data.mean and config.data.std:
        return {"data.normalization": "data.mean=null or data.std=null"}
    return {}


def refuse_unused(jobs: Sequence[tuple[Config, Sequence[str]]]) -> None:
    """Raise ConfigError at the first key that was typed and that none of these jobs uses.

    Args:
        jobs: the configuration of each, and the overrides that were typed for it, such as
            ``optimizer.head_lr=1``.
    """
    refused: dict[str, tuple[object, str]] = {}
    used = set()
    for config, typed in jobs:
        unused = unused_keys(config)
        for each in OverridesParser.create().parse_overrides(list(typed)):
            for name, value in [] if each.is_delete() else _nested(each.key_or_group, each.value()):
                if name in unused:
                    refused.setdefault(name, (value, unused[name]))
                else:
                    used.add(name)
    for name, (value, user) in refused.items():
        if name not in used:
            no_use = "this job does not use it" if len(jobs) == 1 else "none of these jobs uses it"
            raise ConfigError(name, value, f"{no_use}; what would: {user}")


def _nested(name: str, value: Any) -> Iterator[tuple[str, object]]:
    """The keys that an override sets: ``augment={flip: true}`` is ``augment.flip``."""
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _nested(f"{name}.{part}", inner)
    else:
        yield name, value
