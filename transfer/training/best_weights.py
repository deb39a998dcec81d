"""The weights that a training is judged by."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from transfer.evaluate import Evaluation


class BestWeights:
    """A copy of the weights of the best epoch so far.

    Args:
        result: "best" on validation, where the loss decides between equal accuracies, as they
            are common on a small split; or "last".

    Attributes:
        weights: the model's state dict at that epoch, on the CPU; {} before the first.
    """

    def __init__(self, result: str) -> None:
        self.weights: dict[str, Tensor] = {}
        self._takes_last = result == "last"
        self._rank = (-math.inf, -math.inf)

    def take(self, model: nn.Module, epoch: int, validation: Evaluation) -> bool:
        """Copy the weights if this epoch is better than all before it; whether it was."""
        rank = (validation.accuracy, -validation.loss)
        if self._takes_last:
            rank = (float(epoch), 0.0)
        if rank <= self._rank:
            return False
        self._rank = rank
        state = model.state_dict()
        self.weights = {name: each.detach().to("cpu", copy=True) for name, each in state.items()}
        return True

    def state(self) -> dict[str, Any]:
        """What `restore` goes on from."""
        return {"best_weights": self.weights, "best_rank": list(self._rank)}

    def restore(self, state: dict[str, Any]) -> None:
        self.weights = state["best_weights"]
        self._rank = (state["best_rank"][0], state["best_rank"][1])
