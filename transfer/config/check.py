"""Checks that types cannot make: what the schema declares, and keys that must agree."""

import math
from collections.abc import Iterator
from typing import Any

from transfer.config.deploy import read_forms
from transfer.config.duration import read_duration
from transfer.config.key import Key, leaves
from transfer.config.schema import (
    GROUPS,
    Config,
    DataConfig,
    DownloadedConfig,
    ImageFolderConfig,
    SgdConfig,
    ShardsConfig,
)
from transfer.config.tune import CHOICES, is_tune
from transfer.system.device_names import DEVICE_NAMES, is_device_name
from transfer.system.errors import ConfigError


def check_config(config: Config) -> None:
    """Raise ConfigError at the first value that cannot work; touches no file and no device."""
    # With tune=head it is not asked.
    most = math.inf if config.tune == "head" else config.epochs
    if config.epochs >= 1 and not 0 <= config.freeze_epochs <= most:
        problem = (
            f"must be from 0 (train everything) to epochs={config.epochs} (train the head only)"
        )
        raise ConfigError("freeze_epochs", config.freeze_epochs, problem)
    for group, choices in GROUPS.items():
        _check_name(group, getattr(config, group), choices)
    for name, key, value in leaves(config):
        check_key(name, key, value)
    if config.budget is not None:
        read_duration("budget", config.budget)
    read_forms(config.deploy)
    for name, value, problem in _contradictions(config):
        raise ConfigError(name, value, problem)


def _check_name(group: str, node: Any, choices: dict[str, type]) -> None:
    """A name may not say one choice where the keys are those of another."""
    chosen = next(name for name, cls in choices.items() if cls is type(node))
    if node.name != chosen:
        others = [node.name] if node.name in choices else choices
        would_do = ", ".join(f"{group}={each}" for each in others)
        problem = f"{group}={chosen} is called {chosen}; choose {would_do}"
        raise ConfigError(f"{group}.name", node.name, problem)


def check_key(name: str, key: Key, value: Any) -> None:
    """Raise ConfigError where a value is none that the schema declares of its key."""
    if value is None or isinstance(value, bool):
        return
    if key.choices and value not in key.choices:
        raise ConfigError(name, value, f"choose from {', '.join(key.choices)}")
    if key.length is not None and len(value) != key.length:
        null = " or null" if key.default is None else ""
        raise ConfigError(name, value, f"give a list of {key.length} numbers{null}")
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int | float) and not key.allows(number):
            finite = "" if abs(number) < float("inf") else "a finite number, "
            raise ConfigError(name, value, f"must be {finite}{key.range}")


def _contradictions(config: Config) -> Iterator[tuple[str, object, str]]:
    """Keys whose values do not go with the others: the key, its value, and what would do."""
    data, optimizer, protocol = config.data, config.optimizer, config.protocol
    if not is_tune(config.tune):
        yield "tune", config.tune, f"choose from {CHOICES}"
    if config.frozen_features == "cache" and protocol.frozen_batchnorm == "drifting":
        needed = "needs a backbone that stays as it is: protocol.frozen_batchnorm=fixed"
        yield "frozen_features", "cache", needed
    if config.frozen_features == "cache" and config.model.name in protocol.augment_evaluation_of:
        needed = "evaluates images as they are: protocol.augment_evaluation_of=[]"
        yield "frozen_features", "cache", needed
    if config.tracking.log_model and config.tracking.weights != "all":
        kept = f"an MLflow model holds the weights, and tracking.weights={config.tracking.weights}"
        yield "tracking.log_model", True, f"{kept} would not keep them; tracking.weights=all"
    if config.deploy is not None and config.tracking.weights == "none":
        made = "files are made of a run's weights, and tracking.weights=none would not keep them"
        yield "deploy", config.deploy, f"{made}; tracking.weights=all, or best"
    if not is_device_name(config.device):
        yield "device", config.device, f"choose from {DEVICE_NAMES}"
    yield from _without_place(data)
    if data.fold is not None:
        yield from _unfoldable(config, data.fold)
    if isinstance(optimizer, SgdConfig) and optimizer.nesterov and optimizer.momentum == 0:
        yield "optimizer.nesterov", True, "needs optimizer.momentum above 0"


def _without_place(data: DataConfig) -> Iterator[tuple[str, object, str]]:
    """Likewise, of one's own images, where they lie."""
    if isinstance(data, ImageFolderConfig):
        if not data.root:
            yield "data.root", data.root, "give the folder that holds train/<class>/"
        for name in ("train_folder", "val_folder", "test_folder"):
            folder = getattr(data, name)
            if folder is not None and not folder.strip():
                yield f"data.{name}", "''", "give the folder's name below data.root"
    if isinstance(data, ShardsConfig) and not data.root:
        names = "give the folder of the .tar files, or their names"
        yield "data.root", data.root, f"{names}: 'data.root=\"photos-{{000000..000099}}.tar\"'"


def _unfoldable(config: Config, fold: int) -> Iterator[tuple[str, object, str]]:
    """Likewise, of a job that tests on a fold."""
    data = config.data
    if isinstance(data, DownloadedConfig):
        own = f"{data.name} has a test set of its own, which all runs share"
        yield "data.fold", fold, f"{own}; data.seed='range(5)' repeats the split of the others"
    if fold >= data.folds:
        yield "data.fold", fold, f"must be from 0 to {data.folds - 1} with data.folds={data.folds}"
    if config.protocol.validation == "test":
        steered = "each image would steer the training that it tests"
        yield "data.fold", fold, f"{steered}; protocol.validation=held_out"
