"""Many picture files go through a network as a training's own images do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from tests.conftest import config_of, write_images
from transfer.data.image_folder import read_image_folder
from transfer.deploy.classifier import Classifier, load_classifier, save_classifier
from transfer.deploy.classify import classify_files, read_picture
from transfer.models.families import build_model
from transfer.models.normalization import Normalization

_CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    path = tmp_path_factory.mktemp("classifier") / "weights.safetensors"
    torch.manual_seed(0)
    save_classifier(
        build_model("lenet", 4, 32).state_dict(),
        path,
        model_name="lenet",
        image_size=32,
        classes=("ant", "bee", "cat", "dog"),
        stored_size=20,
        fit="crop",
        normalization=Normalization((0.4, 0.5, 0.6), (0.3, 0.2, 0.1), interpolation="bicubic"),
    )
    return load_classifier(path, _CPU)


@pytest.mark.parametrize("fit", ["crop", "squash", "pad"])
def test_the_pixels_are_those_of_a_training(
    classifier: Classifier, tmp_path: Path, fit: str
) -> None:
    photo = Image.fromarray(load_sample_image("china.jpg"))
    for name, box in (("a", (0, 0, 640, 427)), ("b", (10, 20, 210, 420)), ("b", (0, 0, 20, 20))):
        (tmp_path / "train" / name).mkdir(parents=True, exist_ok=True)
        photo.crop(box).save(tmp_path / "train" / name / f"{box[3]}.png")
    # Of one this large, a training decodes a part of the resolution.
    photo.resize((2600, 1600)).save(tmp_path / "train" / "a" / "large.jpg")
    words = ("data=image_folder", f"data.root={tmp_path}", f"data.fit={fit}")
    trained = read_image_folder(config_of(*words).data, 20, tmp_path / "unused", "bicubic").train
    paths = sorted((tmp_path / "train").glob("*/*"))
    own = [read_picture(replace(classifier, fit=fit), path) for path in paths]
    np.testing.assert_array_equal(np.stack(own), trained.images.numpy())


def test_answers_come_in_order_whatever_the_batch_and_past_what_is_bad(
    classifier: Classifier, tmp_path: Path
) -> None:
    write_images(tmp_path, {"a": 7}, size=(33, 20))
    paths = [*sorted(tmp_path.glob("a/*")), tmp_path / "gone.jpg", tmp_path / "bad.jpg"]
    paths[-1].write_bytes(paths[0].read_bytes()[:-100])
    paths = [*paths[-2:], *paths, *paths[-2:]]
    pixels = np.stack([read_picture(classifier, path) for path in paths[2:9]])
    expected = classifier.probabilities(torch.from_numpy(pixels))
    for batch_size in (1, 2, 5, 100):
        answers = [*classify_files(classifier, paths, top=3, batch_size=batch_size)]
        assert [each.path for each in answers] == paths
        good = [each for each in answers if each.refusal is None]
        assert good == answers[2:9]
        for answer, shares in zip(good, expected, strict=True):
            found = [each.probability for each in answer.predictions]
            assert found == pytest.approx(sorted(shares.tolist())[:0:-1], abs=1e-6)
            assert answer.predictions[0].name == classifier.classes[int(shares.argmax())]
        refusals = [str(each.refusal) for each in answers if not each.predictions]
        assert len(refusals) == 6
        assert refusals[0] == f"image={paths[0]}: cannot be read (No such file or directory); " + (
            "repair or remove this file"
        )


def test_few_files_are_ahead_of_the_answers(classifier: Classifier, tmp_path: Path) -> None:
    """And so the memory does not grow with their number."""
    write_images(tmp_path, {"a": 1})
    asked = 0

    def endless() -> Iterator[Path]:
        nonlocal asked
        for path in cycle([tmp_path / "a" / "0.jpg"]):
            asked += 1
            yield path

    with closing(classify_files(classifier, endless(), top=1, batch_size=4)) as answers:
        for _ in range(100):
            assert next(answers).predictions
    assert asked <= 100 + 4 + max(4 * 16, 4)


def test_it_computes_in_the_precision_it_is_given(classifier: Classifier) -> None:
    pixels = torch.randint(0, 256, (8, 3, 20, 20), generator=torch.Generator().manual_seed(0))
    exact, rough = (
        replace(classifier, precision=name).probabilities(pixels.byte())
        for name in ("float32", "bfloat16")
    )
    assert exact.dtype == rough.dtype == torch.float32
    torch.testing.assert_close(exact, rough, atol=0.02, rtol=0.05)
    assert not torch.equal(exact, rough)
