"""Checks that types cannot make: what the schema declares, and keys that must agree."""

from __future__ import annotations

from typing import Any

from transfer.config.key import Key, leaves
from transfer.config.schema import GROUPS, Config, ImageFolderConfig, SgdConfig
from transfer.system.errors import ConfigError


def check_config(config: Config) -> None:
    """Raise ConfigError at the first value that cannot work; touches no file and no device."""
    _check_freeze(config)
    for name, key, value in leaves(config):
        _check(name, key, value)
    _check_frozen_features(config)
    _check_device(config.device)
    if isinstance(config.data, ImageFolderConfig):
        _check_folders(config.data)
    optimizer = config.optimizer
    if isinstance(optimizer, SgdConfig) and optimizer.nesterov and optimizer.momentum == 0:
        raise ConfigError("optimizer.nesterov", True, "needs optimizer.momentum above 0")


def _check(name: str, key: Key, value: Any) -> None:
    """Hold one value to what the schema declares of its key."""
    if value is None or isinstance(value, bool):
        return
    if key.choices and value not in key.choices:
        raise ConfigError(name, value, _instead(name, key, value))
    if key.length is not None and len(value) != key.length:
        null = " or null" if key.default is None else ""
        raise ConfigError(name, value, f"give a list of {key.length} numbers{null}")
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int | float) and not key.allows(number):
            finite = "" if abs(number) < float("inf") else "a finite number, "
            raise ConfigError(name, value, f"must be {finite}{key.range}")


def _instead(name: str, key: Key, value: str) -> str:
    group, _, leaf = name.partition(".")
    if leaf != "name":
        return f"choose from {', '.join(key.choices)}"
    others = [value] if value in GROUPS[group] else GROUPS[group]
    choices = ", ".join(f"{group}={each}" for each in others)
    return f"{group}={key.choices[0]} is called {key.choices[0]}; choose {choices}"


def _check_freeze(config: Config) -> None:
    if config.epochs >= 1 and not 0 <= config.freeze_epochs <= config.epochs:
        raise ConfigError(
            "freeze_epochs",
            config.freeze_epochs,
            f"must be from 0 (train everything) to epochs={config.epochs} (train the head only)",
        )


def _check_frozen_features(config: Config) -> None:
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


def _check_folders(data: ImageFolderConfig) -> None:
    if not data.root:
        raise ConfigError("data.root", data.root, "give the folder that holds train/<class>/")
    for name in ("train_folder", "val_folder", "test_folder"):
        folder = getattr(data, name)
        if folder is not None and not folder.strip():
            raise ConfigError(f"data.{name}", "''", "give the folder's name below data.root")
