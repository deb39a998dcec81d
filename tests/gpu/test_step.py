"""A pass that is launched as a whole computes what it computes kernel by kernel."""

from __future__ import annotations

import logging

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.gpu.device import CLOSE, DEVICE, on_device
from tests.trainings import trainer_of
from transfer.system.device import autocast
from transfer.training.batch_pass import BatchPass
from transfer.training.step import TrainingStep

# The smallest of each family, and pixels that it reads.
FAMILIES = {
    "alexnet": 64,
    "vgg11_bn": 32,
    "googlenet": 32,
    "inception_v3": 80,
    "densenet121": 32,
    "squeezenet1_1": 32,
    "shufflenet_v2_x0_5": 32,
    "mobilenet_v2": 32,
    "mnasnet0_5": 32,
    "efficientnet_b0": 32,
    "regnet_y_400mf": 32,
    "resnext50_32x4d": 32,
    "convnext_tiny": 32,
    "vit_b_16": 32,
    "swin_t": 32,
    "swin_v2_t": 32,
    "simple_cnn": 32,
    "lenet": 32,
}
TIMM = {"convnext_atto": 32, "vit_tiny_patch16_224": 32, "mobilevitv2_050": 64}


def step_of(network: nn.Module) -> TrainingStep:
    device = torch.device(DEVICE)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    run = BatchPass(network, None, 3, autocast=autocast(device, "float32"))
    return TrainingStep(run, optimizer, device)


def a_batch(count: int = 8) -> dict[str, Tensor]:
    inputs = torch.randn(count, 4, device=DEVICE)
    return {"inputs": inputs, "labels": torch.arange(count, device=DEVICE) % 3}


@pytest.mark.parametrize(
    "choices",
    [
        ("precision=float32", "augment=none"),
        ("precision=bfloat16", "augment=none"),
        ("precision=float32", "augment=article", "augment.mixup=0.2", "class_weights=balanced"),
        ("precision=float32", "augment=trivial", "freeze_epochs=2"),
    ],
)
def test_a_training_is_the_same_either_way(choices: tuple[str, ...]) -> None:
    """Its last batch, which is smaller, among the rest."""
    precision = choices[0].partition("=")[2]
    choices += ("data.train_per_class=43",)
    whole, each = (on_device(*choices, f"cuda_graphs={on}") for on in ("true", "false"))
    for one, other in zip(whole.epochs(), each.epochs(), strict=True):
        close = pytest.approx(other.iteration_losses, rel=CLOSE[precision], abs=CLOSE[precision])
        assert one.iteration_losses == close
        assert one.val_loss == pytest.approx(other.val_loss, rel=0.1)
    assert whole._training is not None and whole._training.step.captured == (DEVICE == "cuda")
    assert each._training is not None and not each._training.step.captured


@pytest.fixture
def exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """No TF32, whose rounding a batch of few values a channel, normalised, makes a large one."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.usefixtures("exact_products")
@pytest.mark.parametrize(("name", "size"), [*FAMILIES.items(), *TIMM.items()])
def test_every_family_is_launched_as_a_whole(name: str, size: int) -> None:
    """Its losses and gradients are the same either way, as far as it does not move: a network's
    first steps multiply every rounding."""
    model = ("model=timm", f"model.name={name}") if name in TIMM else (f"model={name}",)
    if name not in TIMM and name not in ("simple_cnn", "lenet"):
        model = ("model=torchvision", f"model.name={name}")
    choices = (*model, f"image_size={size}", f"device={DEVICE}", "weights=none")
    choices += ("data.train_per_class=20", "batch_size=10", "epochs=1", "freeze_epochs=0")
    choices += ("precision=float32", "optimizer=sgd", "optimizer.lr=1e-12")
    whole, each = (trainer_of(*choices, f"cuda_graphs={on}") for on in ("true", "false"))
    for one, other in zip(whole.epochs(), each.epochs(), strict=True):
        assert one.iteration_losses == pytest.approx(other.iteration_losses, rel=1e-3, abs=1e-3)
    for one, other in zip(whole.model.parameters(), each.model.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        assert (one.grad - other.grad).norm() <= 0.05 * other.grad.norm() + 1e-4
    assert whole._training is not None and whole._training.step.captured == (DEVICE == "cuda")


def test_dropout_draws_anew_each_time() -> None:
    step = step_of(nn.Sequential(nn.Dropout(), nn.Linear(4, 3)).to(DEVICE))
    batch = a_batch()
    losses = [step(batch)[0].item() for _ in range(12)]
    assert step.captured == (DEVICE == "cuda")
    assert len(set(losses)) == len(losses)


def test_statistics_count_every_batch() -> None:
    step = step_of(network := nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 3)).to(DEVICE))
    for _ in range(10):
        step(a_batch())
    assert network.get_buffer("0.num_batches_tracked").item() == 10


class Waiting(nn.Module):
    """A network whose pass reads a number back from the device.

    Args:
        always: or while it is captured alone.
    """

    def __init__(self, *, always: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.always = always

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = F.dropout(self.linear(inputs))
        if self.always or torch.cuda.is_current_stream_capturing():
            return logits * (1 if logits.sum().item() > 0 else 2)
        return logits


@pytest.mark.skipif(DEVICE != "cuda", reason="a CPU captures nothing")
@pytest.mark.parametrize(("always", "warnings"), [(True, 0), (False, 1)], ids=["seen", "not seen"])
def test_a_network_that_waits_goes_on_as_before(
    always: bool, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    step = step_of(Waiting(always=always).to(DEVICE))
    with caplog.at_level(logging.WARNING):
        losses = [step(a_batch())[0].item() for _ in range(20)]
    assert not step.captured
    assert len(caplog.records) == warnings
    assert torch.tensor(losses).isfinite().all()
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    # The generator is whole, and another network's pass is captured.
    other = step_of(nn.Sequential(nn.Dropout(), nn.Linear(4, 3)).to(DEVICE))
    assert len({other(a_batch())[0].item() for _ in range(12)}) == 12
    assert other.captured
