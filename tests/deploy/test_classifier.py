"""A classifier survives the way through its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_sample_image

from tests.conftest import Workplace, config_of
from transfer.data import DataSets
from transfer.deploy.classifier import load_classifier, save_classifier
from transfer.deploy.classify import classify_files
from transfer.models.families import build_model
from transfer.models.normalization import Normalization
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
        normalization=Normalization(*data.channel_statistics, interpolation="bicubic"),
    )
    classifier = load_classifier(path, torch.device("cpu"))
    assert classifier.classes == data.classes
    assert classifier.preprocess.interpolation == "bicubic"
    mean, std = (each.flatten() for each in (classifier.preprocess.mean, classifier.preprocess.std))
    torch.testing.assert_close((mean, std), tuple(map(torch.tensor, data.channel_statistics)))

    pixels = data.test.images[:3]
    probabilities = classifier.probabilities(pixels)
    with torch.inference_mode():
        expected = model(classifier.preprocess(pixels)).softmax(dim=1)
    torch.testing.assert_close(probabilities, expected, atol=1e-5, rtol=1e-4)

    # Anyone can load the file without this project.
    plain = torchvision.models.resnet18(num_classes=10)
    plain.load_state_dict(load_file(path))


def test_pictures_are_read_as_the_run_read_them(workplace: Workplace) -> None:
    photo = Image.fromarray(load_sample_image("china.jpg"))
    for part, count in (("train", 8), ("test", 3)):
        for name, hue in (("cat", 0), ("dog", 128)):
            folder = workplace.folder / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                piece = photo.crop((40 * number, 0, 40 * number + 200 + 20 * number, 150)).convert(
                    "HSV"
                )
                turned = piece.point(
                    [(each + hue) % 256 for each in range(256)] + 2 * [*range(256)]
                )
                turned.convert("RGB").save(folder / f"{number}.jpg")
    words = ("data=image_folder", "data.root=photos", "data.fit=pad", "precision=float32")
    small = ("model=simple_cnn", "weights=none", "epochs=1", "freeze_epochs=0", "device=cpu")
    process = workplace.run("train.py", *words, *small, "batch_size=4")
    assert process.returncode == 0, process.stderr
    [run] = workplace.runs()
    folder = Path(run.data.tags["hydra.output_dir"])
    classifier = load_classifier(folder / "weights.safetensors", torch.device("cpu"))
    assert (classifier.stored_size, classifier.fit) == (37, "pad")
    logits = torch.from_numpy(np.load(folder / "predictions.npz")["logits"])
    paths = sorted((workplace.folder / "photos" / "test").glob("*/*.jpg"))
    assert len(paths) == len(logits) == 6
    answers = classify_files(classifier, paths, top=2, batch_size=4)
    for answer, expected in zip(answers, logits.softmax(dim=1), strict=True):
        probabilities = {each.name: each.probability for each in answer.predictions}
        assert probabilities["cat"] == pytest.approx(expected[0].item(), abs=1e-5)
