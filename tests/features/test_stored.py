"""frozen_features=cache: one pass of the backbone, and results that do not show who made it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainings import trainer_of
from transfer.features.stored import StoredFeatures, _parts
from transfer.models.cut import cut_at
from transfer.models.families import family_of
from transfer.system.cache import read_tensors, write_tensors
from transfer.system.errors import ConfigError
from transfer.training.epoch import Epoch
from transfer.training.trainer import Trainer

_NUMBERS = ("iteration_losses", "train_accuracy", "val_loss", "val_accuracy")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def _trainer(*overrides: str) -> Trainer:
    return trainer_of("freeze_epochs=2", *overrides)


def _train(*overrides: str) -> tuple[list[list[object]], torch.Tensor]:
    """Every epoch's numbers, and the logits of the test set."""
    trainer = _trainer(*overrides)
    epochs = [_numbers(epoch) for epoch in trainer.epochs()]
    return epochs, trainer.test_logits()[0]


def _numbers(epoch: Epoch) -> list[object]:
    return [getattr(epoch, name) for name in _NUMBERS]


def test_a_gpu_takes_a_batch_of_photos_at_once_and_larger_images_in_parts() -> None:
    for size, parts in ((224, {"cpu": 13, "cuda": 1}), (512, {"cpu": 16, "cuda": 4})):
        batch = torch.empty(256, 3, size, size, device="meta")
        assert {name: len(_parts(batch, torch.device(name))) for name in parts} == parts


def test_runs_share_one_pass_and_are_what_they_are_alone(cache: Path) -> None:
    choices = ("seed=3", "optimizer.head_lr=0.01", "batch_size=10")
    alone = _train("frozen_features=cache", *choices)
    shutil.rmtree(cache)
    _train("frozen_features=cache")
    files = {path: path.stat().st_mtime_ns for path in cache.glob("*/*.safetensors")}
    assert len(files) == 3, "training, validation and test images"
    again = _train("frozen_features=cache", *choices)
    assert set(cache.glob("*/*.safetensors")) == set(files)
    assert again[0] == alone[0]
    assert torch.equal(again[1], alone[1])


def test_photos_go_through_a_few_at_a_time_and_give_what_they_give_at_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a network makes of a whole batch of them would take gigabytes."""
    trainer = _trainer("frozen_features=cache", "image_size=224")
    cut, passed = cut_at(trainer.model, "head", 224), list[int]()

    def counted(images: torch.Tensor) -> torch.Tensor:
        passed.append(len(images))
        return cut.features(images)

    def features() -> torch.Tensor:
        counting = replace(cut, features=counted)
        others = trainer.data, trainer.config, trainer.device, trainer.normalization
        return StoredFeatures(counting, *others).train(1)

    found = features()
    assert passed == [17, 17, 16]
    shutil.rmtree(cache)
    monkeypatch.setattr("transfer.features.stored._PIXELS", 10**9)
    assert torch.equal(features(), found)
    assert passed[3:] == [50]


def test_folds_share_one_pass_over_all_images(cache: Path) -> None:
    folds = ("frozen_features=cache", "feature_views=1", "data.folds=3")
    words = (*folds, "data.train_per_class=null", "data.validation_fraction=0.5", "batch_size=200")
    alone = _train(*words, "data.fold=2", "seed=1")
    shutil.rmtree(cache)
    _train(*words, "data.fold=0")
    entries = sorted(cache.iterdir())
    sizes = [tensors["features"].shape[0] for tensors in map(read_tensors, entries) if tensors]
    assert sizes == [1797, 1797], "as they are, and one view"
    for entry in entries:
        tensors = read_tensors(entry)
        assert tensors is not None
        seconds = torch.tensor(1797.0, dtype=torch.float64)
        write_tensors(tensors | {"seconds": seconds}, entry)
    trainer = _trainer(*words, "data.fold=2", "seed=1")
    epochs = list(trainer.epochs())
    assert [_numbers(epoch) for epoch in epochs] == alone[0]
    assert torch.equal(trainer.test_logits()[0], alone[1])
    assert sorted(cache.iterdir()) == entries
    # A second an image.
    used = len(trainer.data.train) + len(trainer.data.val)
    assert used == 1198 and epochs[0].seconds == pytest.approx(used, abs=20)
    # Where few are used, a pass over all would be for nothing.
    shutil.rmtree(cache)
    _train(*folds, "data.fold=0")
    entries = list(cache.iterdir())
    sizes = [tensors["features"].shape[0] for tensors in map(read_tensors, entries) if tensors]
    assert sorted(sizes) == [50, 120, 599]


def test_views_beyond_the_bound_are_let_go_and_read_again() -> None:
    words = ("frozen_features=cache", "feature_views=2", "epochs=4", "freeze_epochs=4")
    held = []
    for gigabytes in (4, 0):
        trainer = _trainer(*words, f"data.resident_gb={gigabytes}")
        losses = [epoch.iteration_losses for epoch in trainer.epochs()]
        assert trainer._training is not None and trainer._training.part.features is not None
        views = [key for key in trainer._training.part.features._loaded if key[1] is not None]
        held.append((losses, len(views)))
    assert held[0] == (held[1][0], 2) and held[1][1] == 1


def test_images_as_they_are_give_what_the_exact_mode_gives() -> None:
    plain = ("augment=none", "precision=float32")
    exact = _train(*plain)
    stored = _train(*plain, "frozen_features=cache")
    for one, other in zip(exact[0], stored[0], strict=True):
        assert one[0] == pytest.approx(other[0], rel=1e-4)
        assert one[2] == pytest.approx(other[2], rel=1e-4)
    torch.testing.assert_close(exact[1], stored[1], rtol=1e-3, atol=1e-3)


def test_epochs_take_turns_through_the_views(cache: Path) -> None:
    def losses(views: int) -> list[list[object]]:
        return _train("frozen_features=cache", f"feature_views={views}")[0]

    one, two = losses(1), losses(2)
    assert one[0] == two[0]
    assert one[1] != two[1]
    assert len(list(cache.glob("*/*.safetensors"))) == 4


def test_after_the_unfreeze_images_are_read_again() -> None:
    exact = _train("freeze_epochs=0", "epochs=1")
    stored = _train("freeze_epochs=0", "epochs=1", "frozen_features=cache")
    assert stored[0] == exact[0]
    assert torch.equal(stored[1], exact[1])
    trainer = _trainer("frozen_features=cache", "freeze_epochs=1")
    assert [epoch.head_alone for epoch in trainer.epochs()] == [True, False]


def test_a_run_that_goes_on_ends_as_if_undisturbed() -> None:
    whole = _train("frozen_features=cache")
    for epochs in (1, 2):
        first = _trainer("frozen_features=cache")
        running = first.epochs()
        for _ in range(epochs):
            next(running)
        second = _trainer("frozen_features=cache")
        second.restore(first.state())
        rest = [_numbers(epoch) for epoch in second.epochs()]
        assert rest == whole[0][epochs:]
        assert torch.equal(second.test_logits()[0], whole[1])


def test_another_backbone_or_size_has_features_of_its_own(cache: Path) -> None:
    for choice in ("seed=0", "image_size=48", "weights=none", "data.seed=1", "precision=bfloat16"):
        before = len(list(cache.glob("*/*.safetensors")))
        _train("frozen_features=cache", "epochs=1", "freeze_epochs=1", choice)
        assert len(list(cache.glob("*/*.safetensors"))) == before + 3, choice


def test_a_pass_that_another_run_made_counts_as_training_time_once(cache: Path) -> None:
    """Every run that uses the features has the seconds of the pass in the epoch that is the first
    to need it, also after a continuation."""
    words = ("frozen_features=cache", "feature_views=2", "epochs=4", "freeze_epochs=4")
    list(_trainer(*words).epochs())
    for entry in cache.iterdir():
        tensors = read_tensors(entry)
        assert tensors is not None and 0 < tensors["seconds"].item() < 100
        write_tensors(tensors | {"seconds": torch.tensor(1000.0, dtype=torch.float64)}, entry)

    def thousands(trainer: Trainer) -> list[int]:
        return [round(epoch.seconds / 1000) for epoch in trainer.history]

    # Training and validation images, then the second view, then what is at hand or read again.
    whole = _trainer(*words, "data.resident_gb=0")
    list(whole.epochs())
    assert thousands(whole) == [2, 1, 0, 0]
    first, second = _trainer(*words), _trainer(*words)
    running = first.epochs()
    next(running), next(running), next(running)
    second.restore(first.state())
    list(second.epochs())
    assert thousands(second) == [2, 1, 0, 0]


@pytest.mark.parametrize("model", ["resnet18", "mobilenet_v3_small", "simple_cnn"])
def test_stages_train_on_stored_features_as_on_the_images(model: str, cache: Path) -> None:
    plain = ("augment.crop_padding=0", "augment.rotation=0", "precision=float32")
    weights = "none" if model == "simple_cnn" else "starter"
    words = (*plain, f"model={model}", f"weights={weights}", "freeze_epochs=1", "tune=last:1")
    exact = _train(*words)
    stored = _train(*words, "frozen_features=cache")
    for one, other in zip(exact[0], stored[0], strict=True):
        assert one[0] == pytest.approx(other[0], rel=1e-4)
        assert one[2] == pytest.approx(other[2], rel=1e-4)
    torch.testing.assert_close(exact[1], stored[1], rtol=1e-3, atol=1e-3)
    assert len(list(cache.glob("*/*.safetensors"))) == 5, "test images in the last phase alone"


def test_stages_on_stored_features_stay_frozen_and_go_on_as_if_undisturbed() -> None:
    words = ("frozen_features=cache", "tune=last:1", "epochs=3", "freeze_epochs=1")
    whole = _train(*words)
    for epochs in (1, 2, 3):
        first = _trainer(*words)
        before = {name: each.clone() for name, each in first.model.state_dict().items()}
        running = first.epochs()
        for _ in range(epochs):
            next(running)
        second = _trainer(*words)
        second.restore(first.state())
        assert [_numbers(epoch) for epoch in second.epochs()] == whole[0][epochs:]
        assert torch.equal(second.test_logits()[0], whole[1])
        after = second.model.state_dict()
        stages = dict(family_of(second.model).stages(second.model))
        trained = ("classifier.", *(f"features.{n}." for n in range(9, 13)))
        assert list(stages)[-1] == "features.9"
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert all(name.startswith(trained) for name in moved)


def test_views_of_images_go_through_the_frozen_stages(cache: Path) -> None:
    words = ("frozen_features=cache", "tune=last:1", "feature_views=2", "freeze_epochs=0")
    _train(*words)
    assert len(list(cache.glob("*/*.safetensors"))) == 4


def test_features_that_do_not_fit_are_refused() -> None:
    words = ("frozen_features=cache", "freeze_epochs=1", "tune=last:4", "data.resident_gb=0.0001")
    with pytest.raises(ConfigError, match=r"takes 0\.0\d+ GB of 193 images, more than") as no:
        _trainer(*words)
    assert no.value.key == "frozen_features" and "\n" not in str(no.value)
