"""An epoch that is not over: what a signal in its middle leaves, and what goes on from there."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from transfer.training.epoch import TrainingDivergedError


class UnfinishedEpoch:
    """The training part of an epoch, as far as it has come: what a continuation starts from.

    Args:
        number: the epoch's, from 1.
        rates: learning rates of the head and the backbone at its first iteration.
        iterations: training batches of the whole epoch.

    Attributes:
        iteration: batches done.
        seen: images in them.
        seconds: training time, earlier processes included.
        generators: states of the random generators after the last batch, where another process
            left off; None once this one goes on from them.
    """

    def __init__(
        self, number: int, rates: tuple[float, float], iterations: int, device: torch.device
    ) -> None:
        self.number = number
        self.rates = rates
        self.iteration = 0
        self.seen = 0
        self.seconds = 0.0
        self.generators: dict[str, Tensor] | None = None
        # Filled in place: on the device, for reading a number would make a GPU wait; and without a
        # tensor an iteration, which would lie between the large blocks that the allocator reuses.
        self._losses = torch.empty(iterations, device=device)
        self._correct = torch.zeros((), dtype=torch.long, device=device)
        self._head_rates: list[float] = []

    def count(self, logits: Tensor, labels: Tensor, loss: Tensor, rate: float) -> None:
        """Take in a batch: its float [B, K] logits, int64 [B] labels, mean loss, and the head's
        learning rate."""
        self._losses[self.iteration] = loss.detach()
        self._correct += (logits.detach().argmax(dim=1) == labels).sum()
        self._head_rates.append(rate)
        self.seen += len(labels)
        self.iteration += 1

    @property
    def losses(self) -> list[float]:
        """Every iteration's loss so far."""
        return self._losses[: self.iteration].tolist()

    @property
    def accuracy(self) -> float:
        return self._correct.item() / self.seen

    @property
    def finite(self) -> bool:
        """Whether every loss so far is a number."""
        return bool(self._losses[: self.iteration].isfinite().all())

    def require_finite(self) -> None:
        """Raise TrainingDivergedError at the first loss that is NaN or infinite."""
        for index, loss in enumerate(self.losses):
            if not math.isfinite(loss):
                raise TrainingDivergedError(
                    f"the loss became {loss} in epoch {self.number}, iteration {index + 1}, at a "
                    f"learning rate of {self._head_rates[index]:g}; try a lower optimizer.lr "
                    "(or, of frozen epochs, optimizer.head_lr)"
                )

    def state(self, generators: dict[str, Tensor]) -> dict[str, Any]:
        """All of it as tensors, numbers and lists."""
        return {
            "number": self.number,
            "rates": list(self.rates),
            "iterations": len(self._losses),
            "iteration": self.iteration,
            "losses": self._losses[: self.iteration],
            "correct": self._correct,
            "seen": self.seen,
            "head_rates": self._head_rates,
            "seconds": self.seconds,
            "generators": generators,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> UnfinishedEpoch:
        """What `state()` gave, in this process or another."""
        rates = (state["rates"][0], state["rates"][1])
        epoch = cls(state["number"], rates, state["iterations"], device)
        epoch.iteration, epoch.seen = state["iteration"], state["seen"]
        epoch.seconds, epoch.generators = state["seconds"], state["generators"]
        epoch._losses[: epoch.iteration] = state["losses"].to(device)
        epoch._correct += state["correct"].to(device)
        epoch._head_rates = list(state["head_rates"])
        return epoch


def generator_states(generator: torch.Generator, device: torch.device) -> dict[str, Tensor]:
    """The states of the epoch's generator and of torch's global ones (dropout)."""
    states = {"epoch": generator.get_state(), "cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["device"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["device"] = torch.mps.get_rng_state()
    return states


def restore_generators(
    states: dict[str, Tensor], generator: torch.Generator, device: torch.device
) -> None:
    """Draw on as if nothing had come between; on another kind of device, as near as that is."""
    generator.set_state(states["epoch"])
    torch.set_rng_state(states["cpu"])
    if "device" not in states:
        return
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["device"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states["device"])
