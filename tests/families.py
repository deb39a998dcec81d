"""Every way in which a model may be used, tried on a handful of images: the proof of all families
and the test of a few share it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.optim.swa_utils import update_bn

from tests.conftest import config_of
from transfer.job import Job, prepare
from transfer.models.head import head_name
from transfer.models.matmul_convs import use_matmul_convs
from transfer.training.trainer import Trainer

WAYS = ("random", "checkpoint", "head, exact", "head, stored", "other size", "exported")


def write_images(root: Path) -> None:
    """Two classes of noise, 8 images to train on, 4 to validate and 4 to test."""
    noise = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2), ("test", 2)):
        for label in ("a", "b"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = noise.integers(0, 256, (48, 48, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")


def try_ways(
    name: str, size: int, other: int, images: Path, folder: Path, *, head_alone: bool = False
) -> dict[str, bool]:
    """Train and export a model in each of the ways; an assertion fails where one of them does.

    Args:
        size, other: pixels; what was trained at the first is trained on at the other.
        images: as `write_images` left them.
        folder: for checkpoints.
        head_alone: leave out what trains all of a model that is too large for it here.

    Returns:
        for each of WAYS whether it was tried.
    """
    checkpoint = folder / "weights.pth"
    whole = ("freeze_epochs=0",)
    frozen = ("freeze_epochs=1", "augment=none")
    if head_alone:
        job, trainer, _ = train(name, size, "none", images, *frozen)
    else:
        job, trainer, _ = train(name, size, "none", images, *whole)
        assert changes(job, trainer)
    # After one iteration the statistics are far off: a deep network's outputs would overflow.
    update_bn([torch.randn(8, 3, size, size)], trainer.model)
    torch.save(trainer.model.state_dict(), checkpoint)

    job, trainer, exact = train(name, size, str(checkpoint), images, *frozen)
    assert not job.fit.resized
    assert all(changed.startswith(head_name(trainer.model)) for changed in changes(job, trainer))
    _, _, stored = train(name, size, str(checkpoint), images, *frozen, "frozen_features=cache")
    torch.testing.assert_close(stored, exact, rtol=1e-3, atol=1e-3)
    # All of the file but the last layer is taken over, whatever the size.
    job, trainer, _ = train(
        name, other, str(checkpoint), images, *(frozen if head_alone else whole)
    )
    assert len(job.fit.loaded) + len(job.fit.left_out) == len(trainer.model.state_dict())
    check_export(trainer, other, folder)
    return {way: not (head_alone and way in ("random", "checkpoint")) for way in WAYS}


def train(
    name: str, size: int, weights: str, images: Path, *choices: str
) -> tuple[Job, Trainer, Tensor]:
    """One epoch of one iteration: the job, its trainer, and the logits of the test images."""
    job = prepare(
        config_of(
            *("model=torchvision", f"model.name={name}", f"weights={weights}"),
            *("data=image_folder", f"data.root={images}", f"image_size={size}"),
            *("epochs=1", "batch_size=8", "optimizer=sgd", "optimizer.lr=1e-4"),
            *("device=cpu", "precision=float32", *choices),
        )
    )
    trainer = Trainer(job.model(), job.data, job.config, job.device, job.normalization)
    (epoch,) = trainer.epochs()
    logits, labels = trainer.test_logits()
    assert len(epoch.iteration_losses) == 1 and logits.shape == (4, 2) and len(labels) == 4
    assert logits.isfinite().all()
    return job, trainer, logits


def changes(job: Job, trainer: Trainer) -> list[str]:
    """Names of the tensors that training changed."""
    before, after = job.model().state_dict(), trainer.model.state_dict()
    return [name for name in before if not torch.equal(before[name], after[name])]


def check_export(trainer: Trainer, size: int, folder: Path) -> None:
    """Export the network for any number of images, and read it again: the outputs are the same."""
    model = trainer.model.eval()
    use_matmul_convs(model, use=False)
    batch = ({0: torch.export.Dim.AUTO},)
    with torch.no_grad():
        program = torch.export.export(model, (torch.zeros(2, 3, size, size),), dynamic_shapes=batch)
        torch.export.save(program, folder / "model.pt2")
        again = torch.export.load(folder / "model.pt2").module()
        inputs = torch.randn(3, 3, size, size)
        torch.testing.assert_close(again(inputs), model(inputs), rtol=1e-5, atol=1e-5)
