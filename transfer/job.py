"""One job made ready: its images, its initial weights, and a name for its result.

Everything that can be wrong with a job is found here, before a run of it exists.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import nn

from transfer.augment.crops import stored_size
from transfer.config import Config, configuration, fingerprint, texts
from transfer.config.tune import last_stages
from transfer.config.unused import unused_keys
from transfer.data import (
    ImageData,
    process_data_sets,
    refuse_idle_draws,
    training_batches,
    uneven_classes,
)
from transfer.evaluate.cost import count_macs, count_parameters
from transfer.features.check import require_stored_features
from transfer.models.families import build_model, family_named, shared_meta_model
from transfer.models.families.base import left_out_of_patches
from transfer.models.matmul_convs import use_matmul_convs
from transfer.models.normalization import Normalization, choose_normalization
from transfer.models.sources import is_published, resolve_source, shared_weights
from transfer.models.tuned import require_tunable
from transfer.models.weights import TrainedOn, Weights, WeightsMatch, match_weights
from transfer.system.device import (
    is_out_of_memory,
    memory_format,
    resolve_device,
    resolve_precision,
)
from transfer.system.digest import hex_digest
from transfer.system.errors import ConfigError, UserError
from transfer.training.phases import plan_phases


@dataclass(frozen=True)
class Job:
    """A checked configuration with what it refers to.

    Attributes:
        config: with `device` and `precision` resolved; the names are those of what was chosen.
        fit: which of the weights the model takes over.
        normalization: of the images, as the weights want it.
        fingerprint: equal for jobs with equal results.
        configuration: the same without the seed.
        parameters, trainable_parameters: of the model; those that train in the first epoch.
        macs: multiply-accumulates of one image.
    """

    config: Config
    data: ImageData
    weights: Weights
    fit: WeightsMatch
    normalization: Normalization
    device: torch.device
    fingerprint: str
    configuration: str
    parameters: int
    trainable_parameters: int
    macs: int

    @property
    def name(self) -> str:
        config = self.config
        # Names a folder, too, so timm/resnet18 has to do without its slash.
        model = config.model.name.replace("/", "-")
        how = [] if config.tune == "head" else [f"freeze{config.freeze_epochs}"]
        how += [] if config.tune == "all" else [config.tune.replace(":", "")]
        how += [] if config.data.fold is None else [f"fold{config.data.fold}"]
        return f"{model}-{'-'.join(how)}-seed{config.seed}"

    @property
    def iterations(self) -> int:
        """Training batches of all epochs."""
        each = training_batches(len(self.data.train), self.config.batch_size)
        return self.config.epochs * each

    @property
    def bytes_held(self) -> int:
        """What its images take in the device's memory from before the training to its end."""
        if self.device.type != "cpu" or not self.data.resident:
            return 0
        # Validated on the test set, the two are one.
        splits = {id(each): each for each in (self.data.train, self.data.val, self.data.test)}
        return sum(split.nbytes for split in splits.values())

    @property
    def cost_metrics(self) -> dict[str, float]:
        """What it costs by its architecture alone."""
        return {
            "profile/params": self.parameters,
            "profile/trainable_params": self.trainable_parameters,
            "profile/macs": self.macs,
        }

    @property
    def trained_on(self) -> TrainedOn:
        """What its own weights will have been trained on."""
        digests = {
            "data.files_digest": self.data.files_digest,
            "data.test_digest": self.data.test_digest,
        }
        trained_on = TrainedOn.of_params(texts(self.config) | digests)
        assert trained_on is not None
        return trained_on

    def __str__(self) -> str:
        data, config = self.data, self.config
        uneven = uneven_classes(data.train.labels, data.classes)
        if uneven:
            uneven += f"; class_weights={config.class_weights}, select_by={config.select_by}\n"
        note = f"; {self.weights.note}" if self.weights.note else ""
        whole = ""
        if config.batch_size > len(data.train):
            batch = f"an epoch is one batch of all {len(data.train)} training images"
            whole = f"batch_size={config.batch_size}: {batch}\n"
        model = shared_meta_model(config.model.name, config.image_size, len(data.classes))
        if left_out := left_out_of_patches(model, config.image_size):
            whole += f"{left_out}\n"
        return (
            f"{self.name}: {self.parameters / 1e6:.2f} M parameters, {self.macs / 1e6:.1f} MMACs "
            f"at {config.image_size} px; {data.name}: {len(data.train)} training, "
            f"{len(data.val)} validation, {len(data.test)} test images; "
            f"{self.device}, {config.precision}\n{uneven}{whole}"
            f"weights: {config.weights}, digest {self.weights.digest}; {self.fit}{note}\n"
            f"{self.normalization.text(config.image_size)}"
        )

    @property
    def _seed(self) -> int:
        if is_published(self.weights.source):
            return self.config.seed
        # The weights of a run, or a file of them, began with what its own seed drew. Drawn from the
        # same seed, a new last layer would be the one that they grew up with, and fit better than
        # that of any other seed.
        return int(hex_digest([str(self.config.seed).encode(), self.weights.digest.encode()]), 16)

    def model(self) -> nn.Module:
        """A new model on the device; the same weights each time."""
        config = self.config
        # The last layer is drawn from it, and all else where there are no weights.
        torch.manual_seed(self._seed)
        model = build_model(config.model.name, len(self.data.classes), config.image_size)
        model.load_state_dict(self.fit.loaded, strict=False)
        if self.device.type == "cpu":
            use_matmul_convs(model)
        layout = memory_format(self.device)
        return model.to(memory_format=layout).to(self.device)  # type: ignore[call-overload]


def prepare(
    config: Config,
    number: int = 0,
    weights: Weights | None = None,
) -> Job:
    """Read the images and weights of a job and try its model without numbers; trains nothing.

    Args:
        number: of the job among those that run at the same time, by which GPUs are assigned.
        weights: of a run, which whoever knows the store has fetched; else `config.weights` is read.

    Raises:
        ConfigError: something is missing, damaged, or does not fit.
    """
    config = replace(config, weights=resolve_source(config.weights, config.model.name))
    device = resolve_device(config.device, number)
    chosen, family = config, family_named(config.model.name)
    dense = family.is_dense(config.model.name)
    precision = resolve_precision(config.precision, device, dense=dense)
    config = replace(config, device=str(device), precision=precision)
    model = shared_meta_model(config.model.name, config.image_size)
    require_tunable(model, config.model.name, config.tune)
    _require_models(config.protocol.augment_evaluation_of)
    weights = weights or shared_weights(config.weights, config.model.name, config.image_size)
    data = _load_data(config, weights)
    _require_unseen(weights, data, config)
    size = config.model.name, config.image_size, len(data.classes)
    model = shared_meta_model(*size)
    fit = match_weights(model, weights, data.classes)
    normalization = choose_normalization(
        config.data, weights.normalization, lambda: data.channel_statistics
    )
    digests = {"data_digest": data.digest, "weights_digest": weights.digest}
    job = Job(
        config=config,
        data=data,
        weights=weights,
        fit=fit,
        normalization=normalization,
        device=device,
        fingerprint=fingerprint(chosen, **digests),
        configuration=configuration(chosen, **digests),
        parameters=_parameters(*size, "all"),
        trainable_parameters=_parameters(*size, plan_phases(config)[0].tune),
        macs=_macs(*size),
    )
    if config.frozen_features == "cache":
        for phase in plan_phases(config):
            if last_stages(phase.tune) is not None:
                require_stored_features(job.config, phase.tune, data, device, job.model)
    return job


@cache
def _parameters(name: str, image_size: int, classes: int, tune: str) -> int:
    """How many train, by what `tune` names: once for the jobs of a sweep that share it."""
    return count_parameters(shared_meta_model(name, image_size, classes), tune)


@cache
def _macs(name: str, image_size: int, classes: int) -> int:
    """Multiply-accumulates of one image: once for the jobs of a sweep that share a model."""
    return count_macs(shared_meta_model(name, image_size, classes), image_size)


def _load_data(config: Config, weights: Weights) -> ImageData:
    """The images as the network is to have them: by the interpolation that the weights know, and
    larger than it reads them where parts are taken."""
    refuse_idle_draws(config)
    # Of images as they are, stored features know no parts.
    whole = "augment.crop_scale" in unused_keys(config)
    size = stored_size(config.image_size, 1.0 if whole else config.augment.crop_scale)
    own = weights.normalization
    interpolation = "bilinear" if own is None else own.interpolation
    validation = config.protocol.validation
    return process_data_sets().load(config.data, size, validation, interpolation)


def _require_models(names: Sequence[str]) -> None:
    for name in names:
        try:
            family_named(name)
        except ConfigError as error:
            key = "protocol.augment_evaluation_of"
            raise ConfigError(key, name, error.problem) from error


def _require_unseen(weights: Weights, data: ImageData, config: Config) -> None:
    """Raise ConfigError where a run of the same images had others among them for testing: its
    weights may have been trained on what is to be tested now."""
    seen = weights.trained_on
    if seen is None or seen.digest not in (data.files_digest, data.digest):
        return
    if seen.test_digest != data.test_digest:
        problem = (
            "their run tested on other images and may have trained on those of this job's test"
        )
        split = seen.advice(texts(config))
        advice = f"split as it did: {split}" if split else "take those of another run"
        raise ConfigError("weights", weights.source, f"{problem}; {advice}")


@contextmanager
def memory_explained(config: Config) -> Iterator[None]:
    """Raise UserError, with what would need less, where a job does not fit into memory."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        sizes = f"with batch_size={config.batch_size} and image_size={config.image_size}"
        smaller = ", or ".join(_smaller(config))
        raise UserError(f"out of memory {sizes}; try {smaller}") from error


def _smaller(config: Config) -> Iterator[str]:
    if config.batch_size > 2:
        yield f"batch_size={max(config.batch_size // 2, 2)}"
    yield "a smaller image_size or model"
    if config.data.resident_gb > 0:
        yield "data.resident_gb=0"
    if config.device.startswith("cuda") and config.precision == "float32":
        yield "precision=bfloat16"
