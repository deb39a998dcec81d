"""`frozen_features=cache`: what stays frozen sees each image once, and the rest trains on what that
gave.

What it gave is kept on disk under everything that decides it, the frozen weights and the
images themselves included, but not the run's seed, optimiser or rates: a sweep over those pays for
one pass. So does a sweep over folds, for which the pass is over all images that they are made of,
unless only a few of each class are taken; each split takes its own, and its share of the time. For
the seconds that the pass took are kept as
well: they count in every training that uses it, whoever made it, so that times compare.
"""

import math
import time
from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import version

import torch
from torch import Tensor

from transfer.config import Config
from transfer.data import Batches, ImageData, Split
from transfer.models.cut import Cut
from transfer.models.normalization import Normalization
from transfer.system.cache import disk_cache
from transfer.system.device import autocast
from transfer.system.digest import state_digest
from transfer.system.seeds import numbered_generator

# The same for every batch size of training: a matmul may round by the size of its batch.
_BATCH_SIZE = 256
# What a network makes of more pixels than that takes gigabytes, for which a CPU waits, and which a
# GPU may not have: a batch of photos goes through in parts. These are of so many images at least,
# for with fewer oneDNN takes other convolutions, which round otherwise.
_PIXELS, _GPU_PIXELS, _FEWEST = 2**20, 2**24, 16
# Part of every key: to be raised when something else is kept under it.
_VERSION = 3


def passes(data: ImageData, config: Config) -> list[Split]:
    """What each pass of a job is over: its training images once a view, the others once."""
    views = range(config.feature_views) if config.feature_views else [None]
    needed = [*((data.train, view) for view in views), (data.val, None), (data.test, None)]
    wholes = [(_whole(split, data, config), view) for split, view in needed]
    # Splits of one pool share its pass, as the validation and test images do where they are one.
    return list({(id(whole), view): whole for whole, view in wholes}.values())


def _whole(split: Split, data: ImageData, config: Config) -> Split:
    """The images that a pass for a split is over: with folds, all that those are of."""
    pool, chosen = data.pool, config.data
    # Of a few of each class, most of the pool would be for nothing.
    if chosen.fold is None or chosen.train_per_class is not None:
        return split
    return split if pool is None or split.stored is not pool.stored else pool


class StoredFeatures:
    """Features of every image of a job, from the part of a network that stays as it is.

    Args:
        cut: of a model on `device`; the frozen part has its initial weights.
        config: of the job, with `precision` resolved.
        normalization: what the backbone's images go through.

    Attributes:
        spared: seconds that the pass for the last features asked for took when it was made, less
            those that it took now to get them, made or read; 0 where they were at hand.
    """

    def __init__(
        self,
        cut: Cut,
        data: ImageData,
        config: Config,
        device: torch.device,
        normalization: Normalization,
    ) -> None:
        self._normalization = normalization
        self._cut = cut
        self._data = data
        self._config = config
        self._device = device
        self._frozen = state_digest(cut.state)
        # By the split's digest and the view's number.
        self._loaded: dict[tuple[str, int | None], Tensor] = {}
        self.spared = 0.0

    def train(self, epoch: int) -> Tensor:
        """Features of the training images; epochs take turns through `feature_views` views."""
        views = self._config.feature_views
        return self._of(self._data.train, (epoch - 1) % views if views else None)

    def val(self) -> Tensor:
        return self._of(self._data.val, None)

    def test(self) -> Tensor:
        return self._of(self._data.test, None)

    def _of(self, split: Split, view: int | None) -> Tensor:
        """[N, …] on the device, in the order of the split, as what trains is given it.

        Args:
            view: number of an augmented view; None: the images as they are.
        """
        name = (split.digest, view)
        self.spared = 0.0
        if name not in self._loaded:
            if view is not None and not self._another_view_fits():
                self._loaded = {key: each for key, each in self._loaded.items() if key[1] is None}
            start = time.perf_counter()
            whole = _whole(split, self._data, self._config)
            made = disk_cache().tensors(
                "features", self._key(whole, view), lambda: self._timed(whole, view)
            )
            seconds, features = made["seconds"].item(), made["features"]
            if whole is not split:
                seconds *= len(split) / len(whole)
                features = features[split.rows]
            self.spared = seconds - (time.perf_counter() - start)
            self._loaded[name] = features.to(self._device)
        return self._loaded[name]

    def _another_view_fits(self) -> bool:
        """Whether the views at hand and one more stay within what a data set may take."""
        sizes = [each.nbytes for key, each in self._loaded.items() if key[1] is not None]
        return sum(sizes) + max(sizes, default=0) <= self._config.data.resident_gb * 10**9

    def _key(self, split: Split, view: int | None) -> list[object]:
        config, normalization = self._config, self._normalization
        augmented = [] if view is None else [view, config.data.seed, vars(config.augment)]
        return [
            _VERSION,
            config.model.name,
            self._frozen,
            config.image_size,
            list(normalization.mean),
            list(normalization.std),
            normalization.interpolation,
            *(["undone"] if normalization.undone else []),
            config.precision,
            # Sums are added up in another order elsewhere, so numbers differ in the last digits.
            self._device.type,
            torch.get_num_threads() if self._device.type == "cpu" else 0,
            *(version(name) for name in ("torch", "torchvision", "timm")),
            split.digest,
            *augmented,
        ]

    def _timed(self, split: Split, view: int | None) -> dict[str, Tensor]:
        """The features of a split, and the seconds that they took, float64 []."""
        start = time.perf_counter()
        features = self._run(split, view)
        seconds = torch.tensor(time.perf_counter() - start, dtype=torch.float64)
        return {"features": features, "seconds": seconds}

    @torch.no_grad()
    def _run(self, split: Split, view: int | None) -> Tensor:
        """One pass of the frozen part over all images of a split; leaves the model in evaluation
        mode."""
        config, generator = self._config, None
        preprocess = self._normalization.preprocess(config.image_size, config.augment)
        if view is not None:
            # By the data's seed: runs that differ in theirs share the views.
            generator = numbered_generator(config.data.seed, view)
        self._cut.model.eval()
        features, done = torch.empty(0), 0
        batches = Batches(split, _BATCH_SIZE, self._device, resident=self._data.resident)
        with closing(batches.in_order()) as ordered:
            for images, _ in ordered:
                whole = preprocess(images, preprocess.draw(images, generator))
                for inputs in _parts(whole, self._device):
                    with autocast(self._device, config.precision):
                        part = self._cut.features(inputs)
                    if done == 0:
                        # As a whole from the start, for a list and its concatenation take it twice.
                        features = torch.empty(len(split), *part.shape[1:], dtype=part.dtype)
                    features[done : done + len(part)] = part
                    done += len(part)
        return features


def _parts(inputs: Tensor, device: torch.device) -> Sequence[Tensor]:
    """What of float [N, 3, H, W] goes through a network on the device at a time."""
    most = _PIXELS if device.type == "cpu" else _GPU_PIXELS
    needed = math.ceil(inputs[:, 0].numel() / most)
    return inputs.tensor_split(max(1, min(needed, len(inputs) // _FEWEST)))
