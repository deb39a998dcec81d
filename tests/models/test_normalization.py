"""Mean and std belong to the weights, and to the images only where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.conftest import PLAIN, config_of
from transfer.deploy.classifier import save_classifier
from transfer.job import Job, prepare
from transfer.models.families import build_model, family_named, meta_model
from transfer.models.normalization import Normalization
from transfer.models.sources import read_card, read_weights, starter_models

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OF_IMAGES = ("data.normalization=images",)


def _statistics(job: Job) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return job.normalization.mean, job.normalization.std


def test_starter_weights_bring_theirs() -> None:
    for name in starter_models():
        card = read_card(name)
        job = prepare(config_of(f"model={name}"))
        assert _statistics(job) == (tuple(card["mean"]), tuple(card["std"]))
        assert job.normalization.image_size == card["image_size"] == 32
        assert "\nnormalised as the weights were trained: mean 0.4805 0.4486 0.3982" in str(job)
        # They were trained at that size.
        assert "the weights saw" not in str(job)


def test_without_weights_the_images_are_measured() -> None:
    plain = prepare(config_of(*PLAIN))
    assert _statistics(plain) == plain.data.channel_statistics
    assert plain.normalization.source == "images"
    chosen = prepare(config_of("model=resnet18", *OF_IMAGES))
    assert _statistics(chosen) == plain.data.channel_statistics
    assert "\nnormalised by the training images: mean" in str(chosen)


def test_what_is_given_overrides_either() -> None:
    job = prepare(config_of("model=resnet18", "data.mean=[0.1,0.2,0.3]"))
    assert job.normalization.mean == (0.1, 0.2, 0.3)
    assert job.normalization.std == tuple(read_card("resnet18")["std"])
    assert job.normalization.source == "chosen"
    both = prepare(config_of(*PLAIN, "data.mean=[0.1,0.2,0.3]", "data.std=[1,1,1]"))
    assert _statistics(both) == ((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))


def test_only_what_changes_a_training_changes_its_name() -> None:
    choices = ((), OF_IMAGES, ("data.mean=[0.1,0.2,0.3]",))
    names = {prepare(config_of("model=resnet18", *words)).fingerprint for words in choices}
    assert len(names) == 3
    # `experiment=article` asks for it, with any weights.
    plain = {prepare(config_of(*PLAIN, *words)).fingerprint for words in choices[:2]}
    assert len(plain) == 1


def test_a_file_is_taken_for_the_published_weights_trained_on(tmp_path: Path) -> None:
    torch.save(build_model("resnet18", 5, 32).state_dict(), tmp_path / "own.pth")
    job = prepare(config_of("model=resnet18", f"weights={tmp_path}/own.pth", "image_size=64"))
    assert _statistics(job) == IMAGENET
    assert "as the published weights of the model were trained, for the file says nothing" in str(
        job
    )
    assert "the weights saw images of 224 px, image_size is 64" in str(job)
    # Nobody published any.
    torch.save(build_model("simple_cnn", 5, 32).state_dict(), tmp_path / "plain.pth")
    job = prepare(config_of("model=simple_cnn", f"weights={tmp_path}/plain.pth"))
    assert job.normalization.source == "images"


def test_a_classifier_of_this_project_keeps_what_it_was_trained_with(tmp_path: Path) -> None:
    own = Normalization((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bicubic", 48)
    state = build_model("resnet18", 5, 48).state_dict()
    path = tmp_path / "own.safetensors"
    save_classifier(
        state,
        path,
        model_name="resnet18",
        image_size=48,
        classes=tuple("abcde"),
        stored_size=48,
        fit="crop",
        normalization=own,
    )
    meta = meta_model("resnet18", 48)
    found = read_weights(str(path), "resnet18", meta)
    assert found.normalization == own
    # The same tensors, read otherwise, are other weights.
    safetensors.torch.save_file(state, tmp_path / "bare.safetensors")
    bare = read_weights(str(tmp_path / "bare.safetensors"), "resnet18", meta)
    assert bare.normalization is not None and bare.digest != found.digest


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16"])
def test_published_weights_say_theirs(name: str) -> None:
    published = family_named(name).published(name)[0]
    found = Normalization.of_published(published)
    assert (found.mean, found.std) == IMAGENET
    assert (found.interpolation, found.image_size) == ("bilinear", 224)
