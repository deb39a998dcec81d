"""Keys that a job has and does not use: a rate of epochs that it has none of, for example.

Typed, they are a mistake that would pass for a result; not typed, they are no part of its identity.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from transfer.config.deploy import EXAMPLE
from transfer.config.key import leaves
from transfer.config.overrides import parse_overrides
from transfer.config.schema import GROUPS, KEYS, AugmentConfig, Config, DownloadedConfig
from transfer.config.tune import head_epochs, last_stages
from transfer.system.errors import ConfigError

# What data.seed draws beside splits.
DRAWS = "data.train_per_class, feature_views"


def unused_keys(config: Config) -> dict[str, str]:
    """The keys that this job does not use, each with what would use it.

    A switch that is off, such as ``feature_views=0``, is what the job does, and not among them.
    """
    protocol = config.protocol
    unused = _unused_by_phases(config) | _unused_normalization(config)
    last = last_stages(config.tune) is not None
    all_frozen = head_epochs(config) == config.epochs
    some_frozen, cached = head_epochs(config) > 0 or last, config.frozen_features == "cache"
    if config.optimizer.decay_norms and config.optimizer.weight_decay == 0:
        unused["optimizer.decay_norms"] = "optimizer.weight_decay above 0"
    if config.feature_views > 0 and not (some_frozen and cached):
        frozen = "freeze_epochs above 0, tune=head or tune=last:<k>"
        unused["feature_views"] = f"frozen_features=cache with {frozen}"
    elif config.feature_views > 0 and not _augments_views(config.augment):
        unused["feature_views"] = "an augmentation, such as augment=photo"
    unused |= _unused_augmentation(config, stored_only=(all_frozen or last) and cached)
    if config.data.name == "digits":
        unused["data.root"] = ", ".join(
            f"data={name}" for name in GROUPS["data"] if name != "digits"
        )
    if isinstance(config.data, DownloadedConfig):
        without = "a set without a test split: data=digits, data=image_folder, data=shards"
        unused["data.test_fraction"] = unused["data.folds"] = without
        drawn = protocol.validation == "held_out" or config.data.train_per_class is not None
        if not drawn and not config.feature_views:
            unused["data.seed"] = f"{DRAWS}, protocol.validation=held_out"
    elif config.data.fold is None:
        unused["data.folds"] = "data.fold, such as data.fold='range(5)'"
    else:
        unused["data.test_fraction"] = "data.fold=null: a fold is one of data.folds equal parts"
    unused |= _unused_circumstances(config)
    if protocol.validation == "test":
        unused["data.validation_fraction"] = "protocol.validation=held_out"
    if protocol.augment_evaluation_of and config.model.name not in protocol.augment_evaluation_of:
        unused["protocol.augment_evaluation_of"] = f"a list with {config.model.name} in it"
    return unused


def _unused_circumstances(config: Config) -> dict[str, str]:
    unused = dict[str, str]()
    if config.device == "cpu":
        unused["jobs_per_gpu"] = "device=auto, cuda or mps"
    if config.device in ("cpu", "mps"):
        unused["cuda_graphs"] = "device=auto or cuda"
    if config.deploy is None:
        unused["deploy_rows"] = f"deploy, such as {EXAMPLE}"
    if config.stop_after is not None and config.stop_after >= config.epochs:
        unused["stop_after"] = f"a number below epochs={config.epochs}"
    return unused


def _unused_augmentation(config: Config, *, stored_only: bool) -> dict[str, str]:
    """Those of the augmentation's keys, as `unused_keys` gives them.

    Args:
        stored_only: all that trains reads stored features, in every epoch.
    """
    augment = config.augment
    if stored_only and config.feature_views == 0:
        needed = "feature_views above 0, exact features, or epochs that train all stages"
        return {name: needed for name, _, _ in leaves(augment, "augment.")}
    if stored_only:
        # Views are augmented, but each of one image.
        needed = "exact features, or epochs that train all stages"
        return dict.fromkeys(("augment.mixup", "augment.cutmix", "augment.mix_probability"), needed)
    if augment.mixup == augment.cutmix == 0:
        return {"augment.mix_probability": "augment.mixup or augment.cutmix above 0"}
    return {}


def _augments_views(augment: AugmentConfig) -> bool:
    """Whether one view of an image differs from another; that takes more than mixing images."""
    mixing = ("mixup", "cutmix", "mix_probability")
    return any(
        value != key.default
        for name, key, value in leaves(augment)
        if key.identity and name not in mixing
    )


def _unused_normalization(config: Config) -> dict[str, str]:
    if config.weights == "none":
        return {"data.normalization": "weights other than none"}
    if config.data.mean and config.data.std:
        return {"data.normalization": "data.mean=null or data.std=null"}
    return {}


def _unused_by_phases(config: Config) -> dict[str, str]:
    """Those that only epochs use which the job has none of."""
    unused, head_alone = dict[str, str](), head_epochs(config)
    if head_alone == 0:
        unused["optimizer.head_lr"] = "freeze_epochs above 0, or else optimizer.lr"
    if head_alone == 0 and last_stages(config.tune) is None:
        frozen = "freeze_epochs above 0, tune=head, tune=last:<k>"
        if config.frozen_features == "cache":
            unused["frozen_features"] = frozen
        if config.protocol.frozen_batchnorm == "drifting":
            unused["protocol.frozen_batchnorm"] = frozen
    more = "freeze_epochs below epochs"
    if config.tune == "head":
        more = "tune=all, tune=last:<k>, tune=norm"
        unused["freeze_epochs"] = f"{more}: with tune=head the head alone trains in all epochs"
    elif head_alone == config.epochs and config.tune != "all":
        unused["tune"] = more
    if head_alone == config.epochs:
        fixed = config.protocol.frozen_batchnorm == "fixed"
        # Of torchvision's heads and ours none has a BatchNorm, of timm's a few have.
        if fixed and config.model.library != "timm":
            unused["batchnorm_momentum"] = f"{more}, or protocol.frozen_batchnorm=drifting"
        unused["optimizer.lr"] = f"{more}, or else optimizer.head_lr"
        unused["optimizer.backbone_lr_scale"] = unused["optimizer.layer_decay"] = more
    return unused


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
        for each in parse_overrides(typed):
            chosen = each.key_or_group in GROUPS and isinstance(each.value(), str)
            if chosen and _is_unused(each.key_or_group, unused):
                why = unused[f"{each.key_or_group}.name"]
                refused.setdefault(each.key_or_group, (each.value(), why))
                continue
            for name, value in [] if each.is_delete() else _nested(each.key_or_group, each.value()):
                if why := unused.get(name) or _names_another_model(name, config):
                    refused.setdefault(name, (value, why))
                else:
                    used.add(name)
    for name, (value, user) in refused.items():
        if name not in used:
            no_use = "this job does not use it" if len(jobs) == 1 else "none of these jobs uses it"
            raise ConfigError(name, value, f"{no_use}; what would: {user}")


def _is_unused(group: str, unused: Mapping[str, str]) -> bool:
    """Whether a job has no use for any key of a group, and so none for a choice of it."""
    return all(name in unused for name in KEYS if name.startswith(f"{group}."))


def _names_another_model(name: str, config: Config) -> str:
    """What would use an entry of the mapping `weights` that is not this job's; else ""."""
    prefix, _, model = name.partition("weights.")
    return "" if prefix or not model or model == config.model.name else f"the model {model}"


def _nested(name: str, value: Any) -> Iterator[tuple[str, object]]:
    """The keys that an override sets: ``augment={flip: true}`` is ``augment.flip``."""
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _nested(f"{name}.{part}", inner)
    else:
        yield name, value
