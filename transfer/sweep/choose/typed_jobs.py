"""What was typed beside `experiment=choose`, tried in jobs before anything is measured: so that a
mistake is told before the screen, and before any run exists."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from omegaconf import DictConfig, OmegaConf

from transfer.config import Config, refuse_overruled, refuse_unused, typed_config
from transfer.config.halving import plan_halving
from transfer.models.cut import UncutError, require_cut
from transfer.models.families import build_model, shared_meta_model
from transfer.models.tuned import require_tunable
from transfer.sweep.choose.grid import EPOCHS, Room, frozen_epochs
from transfer.sweep.choose.offer import offered, own_overrides
from transfer.sweep.choose.tunings import Candidate, Tuning
from transfer.sweep.choose.typed_overrides import TypedOverrides
from transfer.sweep.compose import compose_jobs
from transfer.sweep.turns import prepare_in_turn
from transfer.system.errors import ConfigError, first_line


@dataclass(frozen=True)
class TypedEpochs:
    """What was typed of the epochs.

    Attributes:
        counts: of a training, those that come into question, the most first.
        frozen: those in which the head learns alone; none where that was not typed.
    """

    counts: Sequence[int]
    frozen: Sequence[int]


def check_typed(
    config: DictConfig, typed: TypedOverrides, candidates: Sequence[Candidate], room: Room
) -> TypedEpochs:
    """Compose and check a job for every typed value, and the images that it asks for.

    Args:
        config: of the sweep, Hydra's own part included.
        candidates: one of each sort is tried, the first.
        room: whose rungs are those of the sweep.

    Raises:
        ConfigError: a value cannot work.
    """
    require_tunings(candidates, config, typed)
    if several := typed.swept.get("epochs"):
        values = ",".join(each.partition("=")[2] for each in several)
        problem = "jobs are dropped by comparing them half way; give all of them the same"
        raise ConfigError("epochs", values, problem)
    typed_epochs = typed.has("epochs")
    epochs = int(OmegaConf.select(config, "epochs")) if typed_epochs else EPOCHS[0]
    sorts = {each.pretrained: each for each in reversed(candidates)}
    split = list[list[str]]()
    for candidate in sorts.values():
        # All tunings of a kind use the same keys.
        kinds = {_chosen(each): each for each in reversed(offered(candidate, config, typed))}
        for tuning in kinds.values():
            frozen = frozen_epochs(candidate, tuning, room, max(epochs, 1))
            own = own_overrides(tuning, typed, epochs, frozen)
            split += [
                [*typed.fixed, *candidate.overrides, *own, *of_user]
                for of_user in typed.products(tuning.kind)
            ]
    jobs = [(typed_config(composed), own) for own, composed in compose_jobs(config, split)]
    found = _epochs([job for job, _ in jobs], typed)
    refuse_overruled(jobs)
    refuse_unused(jobs)
    plan_halving(config.hydra.sweeper, [job for job, _ in jobs])
    by_images = {repr(job.data): (job, own) for job, own in jobs}
    for _ in prepare_in_turn(list(by_images.values())):
        pass
    return found


def require_tunings(
    candidates: Sequence[Candidate], config: DictConfig, typed: TypedOverrides
) -> list[Candidate]:
    """Those of the candidates that can be tuned in a way that was typed, or in any.

    Raises:
        ConfigError: none can.
    """
    found = [each for each in candidates if offered(each, config, typed)]
    if not found:
        problem = (
            "no candidate can be tuned like that: all trains of one without weights (tune=all), and"
            " last:<k> takes a network that can be cut there; tune=all suits every network"
        )
        raise ConfigError("tune", ",".join(typed.tunes), problem)
    return found


def require_stages(config: Config, tunings: Sequence[Tuning]) -> None:
    """Raise ConfigError where a candidate has not the stages that a tuning of it names."""
    name, size = config.model.name, config.image_size
    for word in dict.fromkeys(each.tune for each in tunings):
        require_tunable(shared_meta_model(name, size), name, word)


def require_cuts(config: Config, tunings: Sequence[Tuning]) -> None:
    """Raise ConfigError where a candidate cannot be cut where a tuning of it would store features:
    it is built, and tried on two random images."""
    name, size = config.model.name, config.image_size
    for word in dict.fromkeys(each.tune for each in tunings if each.kind == "last:1"):
        # The speed of others was tried on their parts.
        if word == "last:1":
            continue
        try:
            with torch.no_grad():
                require_cut(build_model(name, 2, size).eval(), word, size)
        except UncutError as error:
            problem = f"{name} cannot be cut there ({first_line(error)}); take another number"
            raise ConfigError("tune", word, f"{problem} of stages, or tune=all") from error


def _chosen(tuning: Tuning) -> tuple[str, ...]:
    groups = ("tune=", "optimizer=")
    return tuple(each for each in tuning.overrides if each.startswith(groups))


def _epochs(jobs: Sequence[Config], typed: TypedOverrides) -> TypedEpochs:
    counts = [jobs[0].epochs] if typed.has("epochs") else EPOCHS
    frozen = list[int]()
    if typed.has("freeze_epochs"):
        frozen = sorted({job.freeze_epochs for job in jobs if job.tune != "head"})
    if frozen and frozen[-1] >= counts[0]:
        problem = f"must be below epochs={counts[0]} here: the head alone is tried by tune=head"
        raise ConfigError("freeze_epochs", frozen[-1], problem)
    return TypedEpochs(counts, frozen)
