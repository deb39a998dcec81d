"""Which candidates the command line of a screen means: composed as those of a sweep are, but for
what only a screen can choose by itself."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from transfer.config import Config, refuse_overruled, typed_config
from transfer.evaluate.speed import Speed
from transfer.job import prepare
from transfer.models.sources import pretrained_size, resolve_source, weights_at_hand
from transfer.sweep.choose.grid import Images
from transfer.sweep.choose.tunings import Candidate
from transfer.sweep.compose import compose_jobs, split_jobs
from transfer.sweep.screen import as_read, label_of
from transfer.system.errors import ConfigError
from transfer.system.paths import REPOSITORY
from transfer.tracking.run_weights import fetch_run_weights

_CONF = REPOSITORY / "conf"
_ALL = "model=all"
_MULTIRUN = ("-m", "--multirun")


def compose_candidates(overrides: Sequence[str]) -> list[Config]:
    """The configurations that a screen compares: every combination that is typed.

    Unless they are typed, or an experiment is, which may choose them: weights are each model's own
    (`auto`), and images have the size that the weights were trained with, where that is known.

    Args:
        overrides: of train.py, with commas as in a sweep, whether or not `-m` is among them;
            `model=all` for every model of which pretrained weights are at hand.

    Raises:
        ConfigError: a value cannot work, or no weights are at hand.
    """
    overrides = [each for each in overrides if each not in _MULTIRUN]
    for each in overrides:
        _require_for_screen(*each.partition("=")[::2])
    keys = [each.partition("=")[0].partition(".")[0].lstrip("+") for each in overrides]
    chosen = "experiment" in keys
    if _ALL in overrides:
        if "weights" in keys:
            typed = overrides[keys.index("weights")]
            problem = "model=all brings the weights at hand; name the models, or no weights"
            raise ConfigError("weights", typed.partition("=")[2], problem)
        others = [each for each in overrides if each != _ALL]
        groups = [[*others, *overrides_of(*pair)] for pair in weights_at_hand()]
    elif chosen or "weights" in keys:
        groups = [list(overrides)]
    else:
        groups = [[*overrides, "weights=auto"]]
    configs = [config for group in groups for config in _compose(group)]
    if not chosen and "image_size" not in keys:
        configs = [replace(each, image_size=_own_size(each)) for each in configs]
    return configs


def _require_for_screen(key: str, value: str) -> None:
    """Refuse what means nothing where no candidate trains."""
    if key == "model" and value != "all" and "all" in value.split(","):
        problem = "all stands for every model whose weights are here; name it alone, or the models"
        raise ConfigError(key, value, problem)
    if key == "preview" and value.lower() not in ("false", "no", "off", "0"):
        problem = "a screen trains nothing, and is the preview of a sweep; leave it out"
        raise ConfigError(key, value, problem)


def overrides_of(model_name: str, source: str) -> list[str]:
    """What chooses a model, and its weights."""
    if (_CONF / "model" / f"{model_name}.yaml").is_file():
        return [f"model={model_name}", f"weights={source}"]
    library, _, name = model_name.rpartition("/")
    return [f"model={library or 'torchvision'}", f"model.name={name}", f"weights={source}"]


def _compose(overrides: list[str]) -> list[Config]:
    # A sweep that is being planned has one already, of the same files.
    there = GlobalHydra.instance().is_initialized()
    with nullcontext() if there else initialize_config_dir(str(_CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        config = hydra.compose_config("config", overrides, run_mode=RunMode.MULTIRUN)
        jobs = [
            (typed_config(each), typed) for typed, each in compose_jobs(config, split_jobs(config))
        ]
    refuse_overruled(jobs)
    return [job for job, _ in jobs]


def _own_size(config: Config) -> int:
    """The pixels that the weights of a candidate were trained with; else as composed."""
    run = fetch_run_weights(config)
    if run is not None:
        return (run.normalization and run.normalization.image_size) or config.image_size
    source = resolve_source(config.weights, config.model.name)
    return pretrained_size(source, config.model.name) or config.image_size


def candidate_of(config: Config, speed: Speed) -> Candidate:
    """A candidate of a choice, with how fast its images are."""
    read = as_read(config)
    chosen = (*overrides_of(read.model.name, read.weights), f"image_size={read.image_size}")
    kind = f"{read.model.name} {read.image_size}"
    return Candidate(label_of(read), chosen, read.weights != "none", speed, kind)


def named(config: Config, sized: bool) -> tuple[str, list[str]]:
    """What a candidate is called in a report, and what chooses it.

    Args:
        sized: whether the size of its images was typed; else it may become another one.
    """
    read = as_read(config)
    chosen, name = overrides_of(read.model.name, read.weights), label_of(read)
    if sized:
        return name, [*chosen, f"image_size={read.image_size}"]
    return name.rpartition(" ")[0], chosen


def count_images(config: Config) -> Images:
    """How many images a candidate is trained, validated and tested on."""
    data = prepare(as_read(config), weights=fetch_run_weights(config)).data
    return Images(len(data.train), len(data.val), len(data.test))
