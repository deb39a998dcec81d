"""The screen: every candidate's backbone sees each training and validation image once, and probes
of what it gave put the candidates in an order, before anything is trained.

The test images are not looked at. What a backbone gave stays in the cache on disk, where another
screen finds it, and so does a sweep with tune=head frozen_features=cache.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from transfer.compare.screened import hopeless, placings
from transfer.config import Config
from transfer.config.schema import ProtocolConfig
from transfer.data.own_parts import own_parts
from transfer.evaluate.cost import count_macs
from transfer.features.probe import flat_features, linear_probe, nearest_neighbours
from transfer.features.stored import StoredFeatures
from transfer.job import Job, memory_explained, prepare
from transfer.models.cut import cut_at
from transfer.models.families import meta_model
from transfer.models.sources import choose_published, read_weights, resolve_source
from transfer.models.weights import match_weights
from transfer.system.errors import ConfigError
from transfer.tracking.run_weights import fetch_run_weights

_BAR = "screen |{bar}| {percentage:3.0f}% {elapsed}<{remaining}{postfix}"


@dataclass(frozen=True)
class Screen:
    """What a screen found.

    Attributes:
        table: a row a candidate, the best first, with the columns label, model, weights,
            weights_digest, image_size; linear, linear_low, linear_high (accuracy of the linear
            probe with its 95 % interval over images), rank, hopeless, neighbours (accuracy of the
            nearest neighbours); params, macs, on_front, imagenet (published accuracy, or NaN) and
            pass_s (seconds in which the backbone saw the images, when it did). Accuracies are
            fractions.
        params: what the images were, by the names of a run's parameters.
        asked: what the probes were asked, in words.
        seconds: that all of it took.
    """

    table: pd.DataFrame
    params: dict[str, object]
    asked: str
    seconds: float


class _TimeUpError(Exception):
    """What is left of the candidates is left out."""


def screen(configs: Sequence[Config], time_is_up: Callable[[], bool] = lambda: False) -> Screen:
    """Rank candidates by how often probes of their frozen features are right.

    Args:
        configs: at least one, of one data set. What only training reads is ignored, so that those
            which differ in nothing else are one candidate.
        time_is_up: whether to look at no more of them; the first one, of those with the smallest
            images, is always looked at.

    Raises:
        ConfigError: a candidate or the images cannot be read, or not all have the same images.
    """
    start = time.perf_counter()
    _require_one_data_set(configs)
    read = [as_read(each) for each in configs]
    named = len({each.precision for each in read}) > 1
    candidates = {label_of(each, precision=named): each for each in read}
    # Those of one size share their decoded images.
    candidates = dict(sorted(candidates.items(), key=lambda each: each[1].image_size))
    # All of them before the first, so that a mistake is told at once.
    macs = [_tried(each) for each in candidates.values()]
    rows, answers = [], []
    with tqdm(total=sum(macs), bar_format=_BAR, disable=None) as bar:
        for number, (label, config) in enumerate(candidates.items()):
            bar.set_postfix_str(label)

            def advance(share: float, number: int = number) -> None:
                """Move the bar to a share of this candidate's work."""
                if time_is_up() and number:
                    raise _TimeUpError
                bar.update(sum(macs[:number]) + share * macs[number] - bar.n)

            try:
                with memory_explained(config):
                    job = prepare(config, weights=fetch_run_weights(config))
                    row, right = _look_at(job, advance)
            except _TimeUpError:
                break
            bar.update(sum(macs[: number + 1]) - bar.n)
            rows.append({"label": label, **row})
            answers.append(right)
    images, params = answers[0].shape[0], _params(job)
    table = _ranked(pd.DataFrame(rows), np.stack(answers))
    asked = f"each of {images:,} training and validation images, after learning from all others"
    if _has_own_validation(job.config):
        asked = f"{images:,} validation images, after learning from the training images"
    return Screen(table, params, asked, time.perf_counter() - start)


def _require_one_data_set(configs: Sequence[Config]) -> None:
    first = vars(configs[0].data)
    for other in (vars(each.data) for each in configs):
        # The name of the data set comes first, and others have other keys.
        for name in first:
            if first[name] != other.get(name):
                key = "data" if name == "name" else f"data.{name}"
                problem = "candidates are compared on one data set and split; give it one value"
                raise ConfigError(key, f"{first[name]},{other.get(name)}", problem)


def as_read(config: Config) -> Config:
    """The candidate as a job that trains the head alone on stored features, which reads images and
    keeps features as the screen wants them."""
    return replace(
        config,
        weights=resolve_source(config.weights, config.model.name),
        tune="head",
        frozen_features="cache",
        feature_views=0,
        protocol=ProtocolConfig(),
    )


def label_of(config: Config, *, precision: bool = False) -> str:
    """What a candidate is called.

    Args:
        config: as `as_read` gives it.
        precision: whether that is part of it.
    """
    words = [config.model.name, config.weights, f"{config.image_size}px"]
    return " ".join([*words, config.precision] if precision else words)


def _tried(config: Config) -> int:
    """Multiply-accumulates of one image, of a candidate whose weights fit.

    Raises:
        ConfigError: they do not, or there is no such model, size or file.
    """
    model = meta_model(config.model.name, config.image_size)
    weights = fetch_run_weights(config) or read_weights(config.weights, config.model.name, model)
    match_weights(model, weights)
    return count_macs(model, config.image_size)


def _look_at(job: Job, advance: Callable[[float], None]) -> tuple[dict[str, object], Tensor]:
    """What the table has of a candidate alone, and which images the linear probe is right about,
    bool [N].

    Args:
        advance: is told which share of the images the backbone has seen.
    """
    train, val, seconds = _features(job, advance)
    labels, asked_labels = job.data.train.labels, job.data.val.labels
    if _has_own_validation(job.config):
        asked, expected = val, asked_labels
    else:
        train, asked = torch.cat([train, val]), None
        labels = expected = torch.cat([labels, asked_labels])
    right = linear_probe(train, labels, asked) == expected
    near = nearest_neighbours(train, labels, asked) == expected
    config = job.config
    row: dict[str, object] = {
        "model": config.model.name,
        "weights": config.weights,
        "weights_digest": job.weights.digest,
        "image_size": config.image_size,
        "neighbours": near.double().mean().item(),
        "params": job.parameters,
        "macs": job.macs,
        "imagenet": _published_accuracy(config),
        "pass_s": seconds,
    }
    return row, right


def _features(job: Job, advance: Callable[[float], None]) -> tuple[Tensor, Tensor, float]:
    """Features of the training and validation images, as probes read them, and the seconds in which
    they were made, now or earlier."""
    cut = cut_at(job.model(), "head", job.config.image_size)
    images, seen = len(job.data.train) + len(job.data.val), 0

    def counted(batch: Tensor) -> Tensor:
        nonlocal seen
        seen += len(batch)
        advance(min(seen / images, 1.0))
        return cut.features(batch)

    stored = StoredFeatures(
        replace(cut, features=counted), job.data, job.config, job.device, job.normalization
    )
    found, seconds = [], 0.0
    for read in (lambda: stored.train(1), stored.val):
        start = time.perf_counter()
        found.append(flat_features(read()))
        seconds += stored.spared + time.perf_counter() - start
    return found[0], found[1], seconds


def _has_own_validation(config: Config) -> bool:
    """Whether validation images may differ from training images by more than luck: they have a
    place of their own, or there are only a few training images."""
    data = config.data
    return "val" in own_parts(data) or data.train_per_class is not None


def _published_accuracy(config: Config) -> float:
    kind, _, entry = config.weights.partition(":")
    if kind != "imagenet":
        return float("nan")
    published = choose_published(config.model.name, entry, config.weights).imagenet_accuracy
    return float("nan") if published is None else published


def _ranked(table: pd.DataFrame, correct: NDArray[np.bool_]) -> pd.DataFrame:
    found = placings(correct, table["macs"].tolist())
    table["linear"] = [each.accuracy.estimate for each in found]
    table["linear_low"] = [each.accuracy.low for each in found]
    table["linear_high"] = [each.accuracy.high for each in found]
    table["rank"] = [each.rank for each in found]
    table["on_front"] = [each.on_front for each in found]
    table["hopeless"] = hopeless(table["linear_low"].tolist(), table["linear_high"].tolist())
    return table.sort_values("linear", ascending=False, kind="stable", ignore_index=True)


def _params(job: Job) -> dict[str, object]:
    data = job.data
    return {
        "data.name": data.name,
        "data.digest": data.digest,
        "data.files_digest": data.files_digest,
        "data.test_digest": data.test_digest,
        "data.classes": len(data.classes),
        "data.train_images": len(data.train),
        "data.validation_images": len(data.val),
    }
