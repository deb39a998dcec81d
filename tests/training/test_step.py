"""A batch's pass repeats the same operations, whatever was drawn; tests/gpu captures it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.conftest import config_of
from transfer.augment import Preprocess
from transfer.augment.mixing import mix, random_mixtures
from transfer.system.device import autocast
from transfer.training.batch_pass import BatchPass
from transfer.training.loss import training_loss
from transfer.training.step import TrainingStep

CPU = torch.device("cpu")
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


def _images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (6, 3, 12, 12), dtype=torch.uint8, generator=generator)


def _pass(*augment: str) -> BatchPass:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3))
    preprocess = Preprocess(8, (0.5,) * 3, (0.25,) * 3, config_of(*augment).augment)
    return BatchPass(network, preprocess, 3, autocast=autocast(CPU, "float32"))


@pytest.mark.parametrize("augment", ["article", "crop_flip", "photo", "trivial", "none"])
def test_all_that_is_random_is_drawn_with_the_batch(augment: str) -> None:
    """A pass over a drawn batch, given twice, is the same; over the next one, another."""
    run = _pass(f"augment={augment}", "augment.mixup=0.2", "augment.cutmix=1")
    generator = torch.Generator().manual_seed(1)
    batch, other = (run.draw(_images(), LABELS, generator) for _ in range(2))
    state = torch.get_rng_state(), generator.get_state()
    losses = [run(each)[0].item() for each in (batch, batch, other)]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.get_rng_state(), state[0])
    assert torch.equal(generator.get_state(), state[1])


def test_a_pass_counts_what_was_right() -> None:
    run = _pass("augment=none")
    loss, correct = run({"inputs": _images(), "labels": LABELS})
    logits = run._network(Preprocess(8, (0.5,) * 3, (0.25,) * 3, config_of().augment)(_images()))
    assert loss.item() == pytest.approx(F.cross_entropy(logits, LABELS).item())
    assert correct.item() == (logits.argmax(dim=1) == LABELS).sum()


def test_class_weights_are_not_rounded_in_bfloat16() -> None:
    """A mixture's loss is that of its classes' weights, multiplied by their shares in float32."""
    weights = torch.tensor([1.001, 0.999, 1.003])
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    run = BatchPass(network, None, 3, weights=weights, autocast=autocast(CPU, "bfloat16"))
    images, labels = torch.randn(6, 3, 8, 8), LABELS
    generator = torch.Generator().manual_seed(0)
    mixtures = random_mixtures(6, 8, 8, config_of("augment.mixup=0.5").augment, generator)
    inputs, targets = mix(images, labels, 3, mixtures)
    loss, _ = run({"inputs": images, "labels": labels, **mixtures})
    assert loss == training_loss(network(inputs), targets, weights)


def test_a_step_updates_once_and_captures_nothing_on_a_cpu() -> None:
    run = _pass("augment=none")
    optimizer = torch.optim.SGD(run._network.parameters(), lr=0.1)
    step = TrainingStep(run, optimizer, CPU)
    losses = [step({"inputs": _images(), "labels": LABELS})[0] for _ in range(70)]
    assert not step.captured
    assert not any(each.requires_grad for each in losses)
    assert losses[-1] < losses[1] < losses[0]


class Keeping(nn.Flatten):
    """A layer that keeps a tensor of a pass in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Tensor] = {}

    def forward(self, inputs: Tensor) -> Tensor:
        self.kept["last"] = super().forward(inputs)
        return self.kept["last"]


def test_a_pass_that_keeps_tensors_is_not_repeated() -> None:
    run = BatchPass(network := nn.Sequential(Keeping()), None, 3, autocast=autocast(CPU, "float32"))
    assert run.repeats and BatchPass(nn.BatchNorm1d(3), None, 3, autocast=run._autocast).repeats
    network(torch.zeros(2, 3))
    assert not run.repeats
