"""The screen looks at each image once, at no test image, and its features serve a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import config_of
from tests.trainings import trainer_of
from transfer.config import Config
from transfer.sweep.screen import screen
from transfer.sweep.screen_text import screen_text
from transfer.system.errors import ConfigError

_FEW = ("data.train_per_class=5", "batch_size=25")


@pytest.fixture(autouse=True)
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def _config(*overrides: str) -> Config:
    return config_of("image_size=32", *_FEW, *overrides)


def _entries(features: Path) -> set[Path]:
    return {path.parent for path in features.glob("*/*.safetensors")}


def test_candidates_are_ranked_and_a_sweep_finds_their_features(features: Path) -> None:
    plain = ("model=simple_cnn", "weights=none")
    starter = "model=mobilenet_v3_small"
    # What only training reads makes no other candidate.
    configs = [_config(*plain), _config(starter), _config(starter, "seed=1", "epochs=7")]
    found = screen(configs)
    kept = _entries(features)
    assert len(kept) == 4, "training and validation images of two candidates, no test images"
    table = found.table
    # A network of random numbers knows strokes, too.
    assert set(table["label"]) == {"mobilenet_v3_small starter 32px", "simple_cnn none 32px"}
    assert table["linear"].is_monotonic_decreasing and table["linear"].between(0.4, 0.95).all()
    assert (table["linear_low"] < table["linear"]).all()
    assert (table["pass_s"] > 0).all() and table["imagenet"].isna().all()
    assert found.asked.startswith("143 validation images")
    assert found.params["data.train_images"] == 50

    again = screen(configs[1:])
    assert _entries(features) == kept
    before = table[table["model"] == "mobilenet_v3_small"].reset_index(drop=True)
    same = ["linear", "neighbours", "weights_digest", "macs", "params"]
    assert again.table[same].equals(before[same])
    trainer = trainer_of("tune=head", "frozen_features=cache")
    next(iter(trainer.epochs()))
    assert _entries(features) == kept


def test_where_validation_images_are_a_draw_each_image_is_asked_for() -> None:
    found = screen([config_of("model=mobilenet_v3_small")])
    assert found.asked.startswith("each of 1,438 training and validation images")
    low, high = found.table["linear_low"][0], found.table["linear_high"][0]
    assert 0.9 < low < high and high - low < 0.03
    text = screen_text(found)
    assert text.count("\n|") == 2 and "never to name the winner" in text
    assert "ImageNet" in text and "nan" not in text.lower()


def test_the_text_names_who_is_equal_and_who_is_out() -> None:
    found = screen([_config()])
    table = found.table.loc[[0, 0, 0]].reset_index(drop=True)
    table["label"] = ["first", "second", "third"]
    table["rank"] = [1, 1, 3]
    table["hopeless"] = [False, False, True]
    text = screen_text(type(found)(table, found.params, found.asked, found.seconds))
    assert "Not to be told apart from the first: second." in text
    assert "Hopeless: third (more than 10 points behind" in text


def test_candidates_share_their_images_and_have_weights_that_fit() -> None:
    one = "candidates are compared on one data set and split; give it one value"
    for given, told in (
        (["data.fold=0", "data.fold=1"], "data.fold=0,1"),
        (["data=digits", "data=cifar10"], "data=digits,cifar10"),
    ):
        with pytest.raises(ConfigError, match=f"^{told}: {one}$"):
            screen([config_of(each) for each in given])
    with pytest.raises(ConfigError, match="there are none for simple_cnn"):
        screen([_config(), _config("model=simple_cnn")])
