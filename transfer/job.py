"""One job made ready: its images, its initial weights, and a name for its result.

Everything that can be wrong with a job is found here, before a run of it exists.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from transfer.config import Config, ConfigError, configuration, fingerprint
from transfer.data import ImageData, load_data, training_batches
from transfer.device import memory_format, resolve_device
from transfer.digest import state_digest
from transfer.evaluate import count_macs, count_parameters
from transfer.fit import seed_everything
from transfer.models import (
    Fit,
    Weights,
    build_model,
    fit_weights,
    load_into,
    paper_model,
    read_weights,
    read_weights_file,
    replace_last_layer,
    use_matrix_products,
)
from transfer.phases import plan_phases
from transfer.precision import resolve_precision

if TYPE_CHECKING:
    from transfer.tracking.find import RunRecord

_RUN = "runs:/"


@dataclass(frozen=True)
class Job:
    """A checked configuration with what it refers to.

    Attributes:
        config: with `device` and `precision` resolved.
        fit: which of the weights the model takes over.
        fingerprint: equal for jobs with equal results.
        configuration: the same without the seed.
        training: equal for jobs that do the same, if they differ in rates that no epoch uses.
        parameters, trainable_parameters: of the model; those that train in the first epoch.
        macs: multiply-accumulates of one image.
    """

    config: Config
    data: ImageData
    weights: Weights
    fit: Fit
    device: torch.device
    fingerprint: str
    configuration: str
    training: str
    parameters: int
    trainable_parameters: int
    macs: int

    @property
    def name(self) -> str:
        config = self.config
        return f"{config.model.name}-freeze{config.freeze_epochs}-seed{config.seed}"

    @property
    def iterations(self) -> int:
        """Training batches of all epochs."""
        each = training_batches(len(self.data.train), self.config.batch_size)
        return self.config.epochs * each

    def __str__(self) -> str:
        data, config = self.data, self.config
        return (
            f"{self.name}: {self.parameters / 1e6:.2f} M parameters, {self.macs / 1e6:.1f} MMACs "
            f"at {config.image_size} px; {data.name}: {len(data.train)} training, "
            f"{len(data.val)} validation, {len(data.test)} test images; "
            f"{self.device}, {config.precision}\n"
            f"weights: {config.weights}, digest {self.weights.digest}; {self.fit}"
        )

    def model(self) -> nn.Module:
        """A new model on the device; the same weights each time."""
        config = self.config
        seed_everything(config.seed)
        model = build_model(config.model.name, len(self.data.classes), config.image_size)
        load_into(model, self.weights)
        if self.device.type == "cpu":
            use_matrix_products(model)
        layout = memory_format(self.device)
        return model.to(memory_format=layout).to(self.device)  # type: ignore[call-overload]


def prepare(config: Config, number: int = 0) -> Job:
    """Read the images and weights of a job and try its model on paper; trains nothing.

    Args:
        number: of the job among those that run at the same time, by which GPUs are dealt out.

    Raises:
        ConfigError: something is missing, damaged, or does not fit.
    """
    device = resolve_device(config.device, number)
    precision = resolve_precision(config.precision, device, config.model.name)
    config = replace(config, device=str(device), precision=precision)
    model = paper_model(config.model.name, config.image_size)
    weights, source = _read_weights(config)
    data = load_data(config.data, config.image_size, config.protocol.validation)
    if source is not None:
        _require_unseen(config.weights, source, data)
    with torch.device("meta"):
        replace_last_layer(model, len(data.classes))
    fit = fit_weights(model, weights)
    digests = {"data_digest": data.digest, "weights_digest": weights.digest}
    return Job(
        config=config,
        data=data,
        weights=weights,
        fit=fit,
        device=device,
        fingerprint=fingerprint(config, **digests),
        configuration=configuration(config, **digests),
        training=_training(config, **digests),
        parameters=count_parameters(model),
        trainable_parameters=count_parameters(model, head_only=config.freeze_epochs > 0),
        macs=count_macs(model, config.image_size),
    )


def _training(config: Config, **digests: str) -> str:
    # optimizer.lr is the rate of frozen epochs alone, and unfreeze_lr that of the others.
    rates = replace(config.optimizer, lr=1, backbone_lr_ratio=1)
    without = fingerprint(replace(config, optimizer=rates, unfreeze_lr=1), **digests)
    return f"{without} {plan_phases(config)}"


def _read_weights(config: Config) -> tuple[Weights, RunRecord | None]:
    """The weights, and the run that they come from, if they do."""
    if not config.weights.startswith(_RUN):
        return read_weights(config.weights, config.model.name), None
    # The one thing that a job takes from the store; MLflow loads slowly, so only when asked.
    from transfer.tracking.find import fetch_weights, find_job_run
    from transfer.tracking.store import open_store, store_uri

    client = open_store(store_uri(config.tracking.uri))
    run_id = config.weights.removeprefix(_RUN)
    if run_id == "latest":
        problem = "give a run's id; the latest changes while a sweep is running"
        raise ConfigError("weights", config.weights, problem)
    run = find_job_run(client, run_id, key="weights", value=config.weights)
    with tempfile.TemporaryDirectory() as folder:
        path = fetch_weights(client, run, Path(folder), key="weights", value=config.weights)
        state = read_weights_file(path, config.weights)
    return Weights(config.weights, state_digest(state), state), run


def _require_unseen(weights: str, source: RunRecord, data: ImageData) -> None:
    """Raise ConfigError where a run of the same images had others among them for testing: its
    weights may have been trained on what is to be tested now."""
    tested = source.params.get("data.test_digest")
    if source.params.get("data.digest") == data.digest and tested not in (None, data.test_digest):
        seed = source.params.get("data.seed")
        problem = "that run tested on other images and may have trained on those of this job's test"
        raise ConfigError("weights", weights, f"{problem}; split as it did: data.seed={seed}")
