"""What can be chosen: the schema, its checks, and a fingerprint of the choice. Knows no torch."""

import pickle
from collections.abc import Iterator
from typing import cast

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from transfer.config.check import check_config
from transfer.config.fingerprint import configuration, fingerprint, flatten, texts
from transfer.config.overruled import refuse_overruled
from transfer.config.schema import Config, register_schema
from transfer.config.unused import refuse_unused
from transfer.config.weights import weights_for
from transfer.system.errors import ConfigError, first_line

__all__ = [
    "Config",
    "check_config",
    "configuration",
    "fingerprint",
    "flatten",
    "refuse_overruled",
    "refuse_unused",
    "register_schema",
    "texts",
    "typed_config",
]


def typed_config(composed: DictConfig) -> Config:
    """Turn what Hydra composed into checked dataclasses, so that the rest knows no OmegaConf.

    Raises:
        ConfigError: a value is missing or out of range, or two keys contradict each other.
    """
    job = _without_hydra(composed)
    OmegaConf.set_struct(job, False)
    OmegaConf.set_readonly(job, False)
    texts = dict(_texts(OmegaConf.to_container(job, resolve=False), ""))
    # Such as ${epochs}. One by one, for OmegaConf does not always say which leads nowhere, or to a
    # value of another kind.
    for key, value in texts.items():
        if "${" not in value:
            continue
        try:
            OmegaConf.update(job, key, OmegaConf.select(job, key))
        except OmegaConfBaseException as error:
            raise ConfigError(key, value, first_line(error)) from error
    missing = sorted(key for key, value in texts.items() if value == MISSING)
    if missing:
        raise ConfigError(missing[0], MISSING, "has no default; give it a value")
    config = cast(Config, OmegaConf.to_object(job))
    library, name = config.model.library, config.model.name
    if library and not name.startswith(f"{library}/"):
        # timm's resnet18 is another model than torchvision's: no report may take one for the other.
        config.model.name = f"{library}/{name}"
    config.weights = weights_for(config.weights, config.model.name)
    check_config(config)
    return config


def _without_hydra(composed: DictConfig) -> DictConfig:
    """A copy without Hydra's own part, which is most of it."""
    content = composed._content
    assert isinstance(content, dict)
    hydra = content.pop("hydra", None)
    try:
        # In a quarter of the time that copy.deepcopy takes.
        return cast(DictConfig, pickle.loads(pickle.dumps(composed)))
    finally:
        if hydra is not None:
            content["hydra"] = hydra


def _texts(node: object, key: str) -> Iterator[tuple[str, str]]:
    """Every value that is a text, with its key."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _texts(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _texts(value, f"{key}[{index}]")
    elif isinstance(node, str):
        yield key, node
