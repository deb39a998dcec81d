"""Choices that were typed and that another key takes back."""

from collections.abc import Sequence

from transfer.config.overrides import parse_overrides
from transfer.config.schema import Config
from transfer.system.errors import ConfigError

# Whose files leave the name open; each other one is called as its model is.
_OPEN = ("torchvision", "timm")


def refuse_overruled(jobs: Sequence[tuple[Config, Sequence[str]]]) -> None:
    """Raise ConfigError where a model was typed and `model.name` makes another one of it: the first
    would not be trained, and nobody would know.

    Args:
        jobs: the configuration of each, and the overrides that were typed for it.
    """
    for config, typed in jobs:
        chosen = {
            each.key_or_group: str(each.value())
            for each in parse_overrides(typed)
            if not each.is_delete()
        }
        asked, name = chosen.get("model"), chosen.get("model.name")
        if asked in (None, *_OPEN) or name in (None, asked):
            continue
        problem = (
            f"{config.model.name} would be trained in its place, for model.name={name} was typed as"
            f" well; any model of torchvision's goes as model=torchvision model.name={asked},{name}"
        )
        raise ConfigError("model", asked, problem)
