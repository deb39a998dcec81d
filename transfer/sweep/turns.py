"""The jobs of a sweep made ready one after another, before the first of them starts."""

from collections.abc import Iterator, Sequence

from transfer.config import Config
from transfer.config.weights import entry_named
from transfer.job import Job, memory_explained, prepare
from transfer.tracking.run_weights import fetch_run_weights


def prepare_in_turn(
    jobs: Sequence[tuple[Config, Sequence[str]]],
) -> Iterator[tuple[int, Job]]:
    """Each job made ready, with its number; not to be kept, for it holds its weights.

    Those on the same images come one after another, and of these those with the same weights: both
    stay at hand only until others are read.

    Args:
        jobs: the configuration of each, and the overrides that were typed for it.

    Raises:
        ConfigError: one cannot run.
    """
    images, weights = dict[str, int](), dict[tuple[str, str], int]()
    turns = []
    for number, (config, _) in enumerate(jobs):
        size, validation = config.image_size, config.protocol.validation
        same = repr((config.data, size, config.augment.crop_scale, validation))
        first = images.setdefault(same, number)
        turns.append(
            (first, weights.setdefault((config.model.name, config.weights), number), number)
        )
    for *_, number in sorted(turns):
        config, overrides = jobs[number]
        with memory_explained(config), entry_named(config.model.name, overrides):
            job = prepare(config, weights=fetch_run_weights(config))
        yield number, job
