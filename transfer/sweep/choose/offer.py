"""What may be tried of a candidate, where what was typed takes the place of its parts of that."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from transfer.sweep.choose.tunings import OPTIMIZERS, Candidate, Tuning, tunings
from transfer.sweep.choose.typed_overrides import TypedOverrides
from transfer.system.errors import ConfigError


def offered(candidate: Candidate, config: DictConfig, typed: TypedOverrides) -> list[Tuning]:
    """All that may be tried of a candidate, the likeliest first.

    Args:
        config: of the sweep.

    Raises:
        ConfigError: there is no such optimiser.
    """
    augment = str(OmegaConf.select(config, "augment.name"))
    fitting = None if augment == "none" else augment
    if not typed.optimizers:
        optimizer = str(OmegaConf.select(config, "optimizer.name"))
        return _usable(typed.replace_in(tunings(candidate, optimizer, fitting)), config)
    by_optimizer = list[list[Tuning]]()
    for name in typed.optimizers:
        if name not in OPTIMIZERS:
            problem = f"choose from {', '.join(OPTIMIZERS)}; its keys go as optimizer.lr=1e-3"
            raise ConfigError("optimizer", name, problem)
        # Each has rates of its own.
        by_optimizer.append(
            [
                each._replace(overrides=(f"optimizer={name}", *each.overrides))
                for each in _usable(typed.replace_in(tunings(candidate, name, fitting)), config)
            ]
        )
    return [each for turn in zip(*by_optimizer, strict=True) for each in turn]


def _usable(tunings: Sequence[Tuning], config: DictConfig) -> list[Tuning]:
    """Those that are possible beside what was typed: only stored features have views."""
    exact = OmegaConf.select(config, "frozen_features") == "exact"
    return [
        each
        for each in tunings
        if not (exact and each.views and "frozen_features=cache" not in each.overrides)
    ]


def own_overrides(
    tuning: Tuning, typed: TypedOverrides, epochs: int, frozen: Sequence[int]
) -> list[str]:
    """What a job of a configuration has, beside its candidate and what was typed.

    Args:
        frozen: how many epochs its head learns alone, as `frozen_epochs` has them.
    """
    own = [] if typed.has("epochs") else [f"epochs={epochs}"]
    own += tuning.overrides
    if tuning.kind != "head" and not typed.has("freeze_epochs"):
        own += [f"freeze_epochs={number}" for number in frozen]
    if tuning.kind == "all" and max(frozen) == 0:
        # Nothing is frozen, and nothing can be stored.
        own = [each for each in own if not each.startswith("frozen_features=")]
    return own
