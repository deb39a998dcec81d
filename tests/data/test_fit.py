"""How a picture becomes a square, and what is said of that."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import config_of
from transfer.config.schema import DataConfig
from transfer.data import DataSets, ImageData
from transfer.data.decode import resize_square
from transfer.job import prepare
from transfer.models.normalization import Normalization
from transfer.models.weights import TrainedOn, Weights
from transfer.system.errors import ConfigError

CUT = "is cut off, on average; data.fit=squash or data.fit=pad keeps all of it"


def _picture(width: int, height: int) -> Image.Image:
    """Red on the left, green in the middle, blue on the right (or from top to bottom)."""
    pixels = np.zeros((3, 3, 3), np.uint8)
    pixels[range(3), :, range(3)] = 255
    stripes = Image.fromarray(pixels if height > width else pixels.transpose(1, 0, 2))
    return stripes.resize((width, height), Image.Resampling.NEAREST)


def _folder(root: Path, width: int = 60, height: int = 20) -> Path:
    for name in ("cat", "dog"):
        (root / "train" / name).mkdir(parents=True)
        for number in range(20):
            picture = _picture(width, height)
            picture.putpixel((0, 0), (number, number, 0))
            picture.save(root / "train" / name / f"{number}.png")
    return root


def _load(root: Path, *overrides: str, size: int = 12) -> ImageData:
    config: DataConfig = config_of("data=image_folder", f"data.root={root}", *overrides).data
    return DataSets().load(config, size)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_each_way_shows_what_it_should(shape: tuple[int, int]) -> None:
    picture = _picture(*shape)
    crop, squash, pad = (
        torch.from_numpy(np.array(resize_square(picture, 12, fit)))
        for fit in ("crop", "squash", "pad")
    )
    if shape[1] > shape[0]:
        crop, squash, pad = (each.transpose(0, 1) for each in (crop, squash, pad))
    assert torch.equal(crop[:, 2:10], torch.tensor([0, 255, 0]).expand(12, 8, 3).byte())
    assert squash[6, 1].tolist() == [255, 0, 0] and squash[6, 10].tolist() == [0, 0, 255]
    assert (pad[:4] == 0).all() and (pad[8:] == 0).all()
    assert torch.equal(pad[5, [1, 6, 10]], 255 * torch.eye(3).byte())


def test_every_fit_is_another_set_of_images_and_one_set_of_test_images(tmp_path: Path) -> None:
    root = _folder(tmp_path)
    loaded = [_load(root, f"data.fit={fit}") for fit in ("crop", "squash", "pad")]
    loaded.append(_load(root, "data.fit=squash", size=16))
    loaded.append(_load(root, "data.fit=squash", "data.stored_size=20"))
    assert len({each.digest for each in loaded}) == 5
    assert len({each.test_digest for each in loaded}) == 1
    assert len({each.files_digest for each in loaded}) == 1
    assert loaded[-1].train.stored.shape[-1] == 20


def test_what_is_cut_off_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = _folder(tmp_path / "wide")
    with caplog.at_level(logging.WARNING):
        _load(root)
        assert f"data.fit=crop: 67% of the pictures' area {CUT}" in caplog.messages
        caplog.clear()
        _load(root, "data.fit=pad")
        _load(_folder(tmp_path / "square", 20, 20))
        assert not any("cut off" in each for each in caplog.messages)
        # Jobs of one process have the same pictures at two sizes, in turns.
        data_sets = DataSets()
        for size in (8, 16, 8):
            data_sets.load(config_of("data=image_folder", f"data.root={root}").data, size)
        assert len([each for each in caplog.messages if "cut off" in each]) == 1


def test_photos_are_kept_larger_where_parts_of_them_are_taken(tmp_path: Path) -> None:
    root = _folder(tmp_path)
    words = ("data=image_folder", f"data.root={root}", "model=simple_cnn", "weights=none")
    sides = {
        choice: prepare(config_of(*words, f"augment={choice}")).data.train.stored.shape[-1]
        for choice in ("photo", "trivial", "crop_flip", "none")
    }
    assert sides == {"photo": 37, "trivial": 37, "crop_flip": 32, "none": 32}


def test_stored_features_of_images_as_they_are_know_no_parts(tmp_path: Path) -> None:
    root = _folder(tmp_path)
    words = ("data=image_folder", f"data.root={root}", "model=simple_cnn", "weights=none")
    head = ("augment=photo", "epochs=5", "frozen_features=cache")
    stored = [
        prepare(config_of(*words, *head, *more)).data
        for more in ((), ("augment.crop_scale=1",), ("feature_views=1",))
    ]
    assert [each.train.stored.shape[-1] for each in stored] == [32, 32, 37]
    assert stored[0].digest == stored[1].digest


def test_pictures_become_smaller_as_the_weights_know_it(tmp_path: Path) -> None:
    root = _folder(tmp_path)
    words = ("data=image_folder", f"data.root={root}", "model=simple_cnn", "augment=none")
    normalization = Normalization((0.5,) * 3, (0.5,) * 3)
    found = {}
    for kind in ("bicubic", "bilinear"):
        weights = Weights("a file", kind, None, replace(normalization, interpolation=kind))
        found[kind] = prepare(config_of(*words, "image_size=16"), weights=weights).data
    plain = _load(root, size=16)
    assert found["bilinear"].digest == plain.digest != found["bicubic"].digest
    assert found["bicubic"].test_digest == plain.test_digest
    picture = Image.open(root / "train" / "cat" / "0.png")
    by_pillow = picture.resize((16, 16), Image.Resampling.BICUBIC, box=(20, 0, 40, 20))
    pixels = torch.from_numpy(np.array(by_pillow)).permute(2, 0, 1)
    assert (found["bicubic"].train.stored == pixels).flatten(1).all(dim=1).any()


def test_weights_that_saw_the_test_images_at_another_size_are_refused(tmp_path: Path) -> None:
    root = _folder(tmp_path)
    small = _load(root)
    split = {"data.seed": "0", "data.fold": "null", "data.test_fraction": "0.2"}
    seen = TrainedOn(small.files_digest, small.test_digest, split)
    weights = Weights("runs:/1a", "1a", None, trained_on=seen)
    words = ("data=image_folder", f"data.root={root}", "model=simple_cnn", "data.fit=pad")
    assert prepare(config_of(*words), weights=weights).data.test_digest == small.test_digest
    with pytest.raises(ConfigError, match=r"split as it did: data\.seed=0"):
        prepare(config_of(*words, "data.seed=1"), weights=weights)
    for typed, advice in (
        ("data.fold=1", "data.fold=null"),
        ("data.seed=1 data.fold=1", "data.seed=0 data.fold=null"),
        ("data.test_fraction=0.3", "data.test_fraction=0.2"),
    ):
        with pytest.raises(ConfigError) as refused:
            prepare(config_of(*words, *typed.split()), weights=weights)
        assert refused.value.problem.endswith(f"; split as it did: {advice}")
    unknown = replace(weights, trained_on=None)
    job = prepare(config_of(*words, "data.fold=2", "data.folds=4"), weights=unknown)
    folded = replace(weights, trained_on=job.trained_on)
    with pytest.raises(ConfigError, match=r"split as it did: data\.fold=2 data\.folds=4$"):
        prepare(config_of(*words), weights=folded)
    assert prepare(config_of(*words, "data.fold=2", "data.folds=4"), weights=folded)
    other = replace(weights, trained_on=replace(seen, digest="of another folder"))
    assert prepare(config_of(*words, "data.seed=1"), weights=other)
