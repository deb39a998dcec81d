"""A classifier survives the way through its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.conftest import config_of
from transfer.data import DataSets
from transfer.deploy.classifier import load_classifier, save_classifier
from transfer.models.families import build_model
from transfer.system.torchvision import load_torchvision

torchvision = load_torchvision()


def test_saved_and_loaded(tmp_path: Path) -> None:
    data = DataSets().load(config_of("data=digits").data, 32)
    model = build_model("resnet18", 10, 32).eval()
    path = tmp_path / "weights.safetensors"
    save_classifier(
        model.state_dict(),
        path,
        model_name="resnet18",
        image_size=32,
        classes=data.classes,
        stored_size=8,
        fit="crop",
        mean=data.mean,
        std=data.std,
    )
    classifier = load_classifier(path, torch.device("cpu"))
    assert classifier.classes == data.classes

    image = data.test.images[0]
    picture = Image.fromarray(np.array(image.permute(1, 2, 0)))
    predictions = classifier.classify(picture)
    with torch.inference_mode():
        expected = model(classifier.preprocess(image.unsqueeze(0))).softmax(dim=1)[0]
    assert sum(prediction.probability for prediction in predictions) == pytest.approx(1)
    assert predictions[0].name == data.classes[int(expected.argmax())]
    assert predictions[0].probability == pytest.approx(expected.max().item(), abs=1e-5)

    # Anyone can load the file without this project.
    plain = torchvision.models.resnet18(num_classes=10)
    plain.load_state_dict(load_file(path))
