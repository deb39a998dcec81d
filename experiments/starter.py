"""Make starter weights of a finished run of `experiment=pretrain`: the file and its card.

    python experiments/starter.py run=<id> [out=transfer/starter_weights]

Prints the accuracy of the weights as they are, and rounded to float16.
"""

import copy
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import safetensors.torch
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor, nn

from experiments.arguments import STORE, option, run
from transfer.augment.crops import stored_size
from transfer.config.schema import ImageFolderConfig
from transfer.data import Batches, DataSets, ImageData
from transfer.deploy.classifier import Classifier, load_classifier
from transfer.evaluate.metrics import evaluate_logits, predict_logits
from transfer.models.families import family_of
from transfer.models.sources import STARTER_FOLDER, describe_file
from transfer.system.device import autocast
from transfer.system.digest import state_digest
from transfer.system.errors import ConfigError, first_line
from transfer.tracking.environment import without_places
from transfer.tracking.fetch import fetch_artifact
from transfer.tracking.find import find_job_run
from transfer.tracking.run_record import RunRecord
from transfer.tracking.store import open_store, store_uri


@dataclass
class Options:
    run: str = option("latest", "id of the run, or latest")
    out: str = option(str(STARTER_FOLDER), "folder for <model>.safetensors and <model>.json")
    tracking_uri: str | None = option(None, STORE)


@dataclass(frozen=True)
class StarterCard:
    """How a file of starter weights was made, and how good it is.

    Attributes:
        data: name of the data set that it was trained on.
        data_digest, digest: content hashes of that data and of the tensors in the file.
        command, commit: what made it, at which state of this project.
        image_size: pixels.
        mean, std: of each channel of the images that it was trained on, 0 to 1.
        interpolation: by which they were resized.
        epochs: how many that training had.
        accuracy: the trained model's, on the data set's validation images, 0 to 1.
        float16_accuracy: the same with the numbers rounded as they are in the file.
        parameters: how many are in the file.
        size_mb: the file's, in 10^6 bytes.
    """

    model: str
    data: str
    data_digest: str
    command: str
    commit: str
    image_size: int
    mean: list[float]
    std: list[float]
    interpolation: str
    epochs: int
    accuracy: float
    float16_accuracy: float
    parameters: int
    size_mb: float
    digest: str


def main(options: Options) -> None:
    client = open_store(store_uri(options.tracking_uri))
    pretrained = find_job_run(client, options.run)
    with tempfile.TemporaryDirectory() as folder:
        config_file, weights = (
            fetch_artifact(client, pretrained, name, Path(folder))
            for name in ("config.yaml", "weights.safetensors")
        )
        data = _read_data(config_file, pretrained)
        classifier = load_classifier(weights, torch.device("cpu"))
        normalization, _, _ = describe_file(weights)
    assert normalization is not None
    if data.digest != pretrained.params["data.digest"]:
        raise ConfigError("run", pretrained.id, f"its images have changed since: {data.digest} now")
    state = _starter_state(classifier.model)
    rounded = copy.deepcopy(classifier.model)
    rounded.load_state_dict(state, strict=False)
    card = StarterCard(
        model=pretrained.params["model.name"],
        data=Path(pretrained.params["data.root"]).name,
        data_digest=data.digest,
        command=without_places(pretrained.tags["transfer.command"]),
        commit=pretrained.tags.get("mlflow.source.git.commit", "unknown"),
        image_size=int(pretrained.params["image_size"]),
        mean=list(normalization.mean),
        std=list(normalization.std),
        interpolation=normalization.interpolation,
        epochs=int(pretrained.params["epochs"]),
        accuracy=pretrained.metrics["test/acc"],
        float16_accuracy=_accuracy(rounded, classifier, data),
        parameters=sum(tensor.numel() for tensor in state.values()),
        size_mb=round(sum(tensor.nbytes for tensor in state.values()) / 1e6, 2),
        digest=state_digest(state),
    )
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    weights_file = out / f"{card.model}.safetensors"
    safetensors.torch.save_file(state, weights_file)
    weights_file.with_suffix(".json").write_text(json.dumps(asdict(card), indent=2) + "\n")
    print(f"{weights_file}: {card.size_mb} MB, digest {card.digest}")
    print(f"accuracy {card.accuracy:.2%}, rounded to float16 {card.float16_accuracy:.2%}")


def _read_data(config_file: Path, pretrained: RunRecord) -> ImageData:
    """The images that the run saw, from where they lay.

    Raises:
        ConfigError: it saw no folder of images, or was made with keys that there are no more.
    """
    config = OmegaConf.load(config_file)
    if config.data.name != "image_folder":
        raise ConfigError("run", config.data.name, "only runs on data=image_folder can be shipped")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(ImageFolderConfig), config.data)
        crop_scale = config.augment.crop_scale
    except (OmegaConfBaseException, AttributeError) as error:
        # Augmentation was a part of the data once.
        commit = pretrained.tags.get("mlflow.source.git.commit", "that of its time")
        problem = (
            f"made with keys of before ({first_line(error)}), which say otherwise how it saw its "
            f"images; make the starter at its own commit, {commit}, or pretrain anew"
        )
        raise ConfigError("run", pretrained.id, problem) from error
    size = stored_size(config.image_size, crop_scale)
    return DataSets().load(cast(ImageFolderConfig, OmegaConf.to_object(merged)), size)


def _starter_state(model: nn.Module) -> dict[str, Tensor]:
    """A trained model's state dict as it is shipped: without the last layer, numbers as float16.

    Raises:
        ValueError: a number is too large for float16.
    """
    last_layer = family_of(model).last_layer(model) + "."
    kept: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if name.startswith(last_layer) or name.endswith("num_batches_tracked"):
            continue
        kept[name] = tensor.to(torch.float16).contiguous()
        if not kept[name].isfinite().all():
            raise ValueError(f"{name} holds a number that is too large for float16")
    return kept


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
