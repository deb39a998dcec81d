"""Make starter weights of a finished run of `experiment=pretrain`: the file and its card.

    python experiments/starter.py run=<id> [out=transfer/starter_weights]

Prints the accuracy of the weights as they are, and rounded to float16.
"""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from omegaconf import OmegaConf
from torch import nn

from experiments.arguments import STORE, option, run
from transfer.config.schema import ImageFolderConfig
from transfer.data import Batches, DataSets, ImageData
from transfer.deploy.classifier import Classifier, load_classifier
from transfer.evaluate import evaluate_logits, predict_logits
from transfer.models.starter import FOLDER, StarterCard, starter_state, write_starter
from transfer.system.device import autocast
from transfer.system.digest import state_digest
from transfer.system.errors import ConfigError
from transfer.tracking.environment import without_places
from transfer.tracking.find import fetch_artifact, find_job_run
from transfer.tracking.store import open_store, store_uri


@dataclass
class Options:
    run: str = option("latest", "id of the run, or latest")
    out: str = option(str(FOLDER), "folder for <model>.safetensors and <model>.json")
    tracking_uri: str | None = option(None, STORE)


def main(options: Options) -> None:
    client = open_store(store_uri(options.tracking_uri))
    pretrained = find_job_run(client, options.run)
    with tempfile.TemporaryDirectory() as folder:
        config_file, weights = (
            fetch_artifact(client, pretrained, name, Path(folder))
            for name in ("config.yaml", "weights.safetensors")
        )
        data = _read_data(config_file)
        classifier = load_classifier(weights, torch.device("cpu"))
    if data.digest != pretrained.params["data.digest"]:
        raise ConfigError("run", pretrained.id, f"its images have changed since: {data.digest} now")
    state = starter_state(classifier.model, classifier.model.state_dict())
    rounded = copy.deepcopy(classifier.model)
    rounded.load_state_dict(state, strict=False)
    card = StarterCard(
        model=pretrained.params["model.name"],
        data=Path(pretrained.params["data.root"]).name,
        data_digest=data.digest,
        command=without_places(pretrained.tags["transfer.command"]),
        commit=pretrained.tags.get("mlflow.source.git.commit", "unknown"),
        image_size=int(pretrained.params["image_size"]),
        epochs=int(pretrained.params["epochs"]),
        accuracy=pretrained.metrics["test/acc"],
        float16_accuracy=_accuracy(rounded, classifier, data),
        parameters=sum(tensor.numel() for tensor in state.values()),
        size_mb=round(sum(tensor.nbytes for tensor in state.values()) / 1e6, 2),
        digest=state_digest(state),
    )
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    write_starter(state, card, out)
    print(f"{out / card.model}.safetensors: {card.size_mb} MB, digest {card.digest}")
    print(f"accuracy {card.accuracy:.2%}, rounded to float16 {card.float16_accuracy:.2%}")


def _read_data(config_file: Path) -> ImageData:
    """The images that the run saw, from where they lay."""
    config = OmegaConf.load(config_file)
    if config.data.name != "image_folder":
        raise ConfigError("run", config.data.name, "only runs on data=image_folder can be shipped")
    merged = OmegaConf.merge(OmegaConf.structured(ImageFolderConfig), config.data)
    return DataSets().load(cast(ImageFolderConfig, OmegaConf.to_object(merged)), config.image_size)


def _accuracy(model: nn.Module, classifier: Classifier, data: ImageData) -> float:
    device = classifier.device
    batches = (
        (classifier.preprocess(images), labels)
        for images, labels in Batches(data.test, 256, device, resident=data.resident).in_order()
    )
    logits, labels = predict_logits(model, batches, autocast(device, "float32"))
    return evaluate_logits(logits, labels).accuracy


if __name__ == "__main__":
    run(main, Options, __doc__)
