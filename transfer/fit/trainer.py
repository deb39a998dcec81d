"""The training loop: phases, epochs, batches. Knows no MLflow."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from transfer.augment import Preprocess
from transfer.config import Config
from transfer.data import Batches, ImageData
from transfer.device import autocast
from transfer.evaluate import Evaluation, evaluate_logits, predict_logits
from transfer.fit.epoch import Epoch, TrainingDivergedError
from transfer.optim import Schedule, build_optimizer
from transfer.phases import Phase, plan_phases, set_training_mode


class Trainer:
    """Trains `model` in place over the phases of `config`.

    Args:
        model: on `device`; its head fits the data's classes.
        data: training and validation splits; the test split waits for `test_logits`.
        config: the job, with `precision` resolved.
        device: where the data goes and the arithmetic is done.

    Attributes:
        history: every epoch so far.
        best_weights: those of the epoch that was best on validation, on the CPU; with
            `protocol.result=last`, those of the last.
    """

    def __init__(
        self, model: nn.Module, data: ImageData, config: Config, device: torch.device
    ) -> None:
        self.model = model
        self.config = config
        self.device = device
        self.data = data
        self.autocast = autocast(device, config.precision)
        self.preprocess = Preprocess(config.image_size, data.mean, data.std, config.data.augment)
        self.train = Batches(data.train, config.batch_size, device)
        self.val = Batches(data.val, config.batch_size, device)
        self.history: list[Epoch] = []
        self.best_weights: dict[str, Tensor] = {}
        self._best_rank = (-math.inf, -math.inf)
        self._optimizer: Optimizer | None = None
        self._schedule: Schedule | None = None
        self._restored: dict[str, Any] | None = None

    def epochs(self) -> Iterator[Epoch]:
        """Train what is left; yields after each epoch, with `best_weights` up to date."""
        for phase in plan_phases(self.config):
            done = len(self.history)
            if done >= phase.last_epoch:
                continue
            optimizer, schedule = self._begin(phase, resumed=done >= phase.first_epoch)
            for number in range(max(phase.first_epoch, done + 1), phase.last_epoch + 1):
                self.history.append(self._run_epoch(number, phase, optimizer, schedule))
                yield self.history[-1]

    def state(self) -> dict[str, Any]:
        """All that a bit-identical continuation needs, after an epoch.

        Random generators are not among it: each epoch seeds its own.
        """
        assert self._optimizer is not None and self._schedule is not None
        return {
            "model": self.model.state_dict(),
            "best_weights": self.best_weights,
            "best_rank": list(self._best_rank),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "history": [asdict(epoch) for epoch in self.history],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state()` gave, in this process or another."""
        self.model.load_state_dict(state["model"])
        self.best_weights = state["best_weights"]
        self._best_rank = (state["best_rank"][0], state["best_rank"][1])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self._restored = state

    def test_logits(self) -> tuple[Tensor, Tensor]:
        """Read the test set, with the best weights: logits and labels."""
        self.model.load_state_dict(self.best_weights)
        test = Batches(self.data.test, self.config.batch_size, self.device)
        return self._logits(test, self.config.epochs + 1)

    def _begin(self, phase: Phase, *, resumed: bool) -> tuple[Optimizer, Schedule]:
        """The phase's own optimiser and schedule, as they were left where it was interrupted."""
        optimizer = build_optimizer(self.model, phase, self.config.optimizer)
        iterations = self.train.training_batches()
        schedule = Schedule(optimizer, phase, iterations, self.config.schedule)
        if resumed and self._restored is not None:
            optimizer.load_state_dict(self._restored["optimizer"])
            schedule.load_state_dict(self._restored["schedule"])
        self._optimizer, self._schedule, self._restored = optimizer, schedule, None
        return optimizer, schedule

    def _run_epoch(
        self, number: int, phase: Phase, optimizer: Optimizer, schedule: Schedule
    ) -> Epoch:
        start = time.perf_counter()
        rates = _learning_rates(optimizer)
        losses, accuracy = self._train_epoch(number, phase, optimizer, schedule)
        train_seconds = time.perf_counter() - start
        validation = evaluate_logits(*self._logits(self.val, number))
        seconds = time.perf_counter() - start
        schedule.after_epoch(validation.loss)
        return Epoch(
            number=number,
            frozen=phase.frozen,
            train_loss=sum(losses) / len(losses),
            train_accuracy=accuracy,
            val_loss=validation.loss,
            val_accuracy=validation.accuracy,
            head_lr=rates[0],
            backbone_lr=rates[1],
            seconds=seconds,
            train_images_per_second=len(self.train.labels) / train_seconds,
            iteration_losses=losses,
            best=self._keep_if_best(number, validation),
        )

    def _train_epoch(
        self, number: int, phase: Phase, optimizer: Optimizer, schedule: Schedule
    ) -> tuple[list[float], float]:
        """One pass over the training images: every iteration's loss, and the accuracy."""
        generator = _seed_epoch(self.config.seed, number)
        set_training_mode(self.model, phase, self.config.protocol.frozen_batchnorm)
        # Filled in place: on the device, for reading a number would make a GPU wait; and without a
        # tensor an iteration, which would lie between the large blocks that the allocator reuses.
        losses = torch.empty(self.train.training_batches(), device=self.device)
        correct, seen = torch.zeros((), dtype=torch.long, device=self.device), 0
        batches = tqdm(
            self.train.shuffled(generator),
            total=self.train.training_batches(),
            desc=f"epoch {number}/{self.config.epochs}",
            leave=False,
            disable=None,  # quiet when not a terminal
        )
        for iteration, (images, labels) in enumerate(batches):
            inputs = self.preprocess(images, generator)
            optimizer.zero_grad(set_to_none=True)
            with self.autocast:
                logits = self.model(inputs)
                loss = F.cross_entropy(
                    logits.float(), labels, label_smoothing=self.config.label_smoothing
                )
            loss.backward()
            optimizer.step()
            schedule.after_iteration()
            losses[iteration] = loss.detach()
            correct += (logits.detach().argmax(dim=1) == labels).sum()
            seen += len(labels)
        values = losses.tolist()
        _require_finite(values, number, optimizer)
        return values, correct.item() / seen

    def _logits(self, batches: Batches, epoch: int) -> tuple[Tensor, Tensor]:
        protocol, generator = self.config.protocol, None
        if self.config.model.name in protocol.augment_evaluation_of:
            generator = torch.Generator().manual_seed(_epoch_seed(self.config.seed, epoch))
        preprocessed = (
            (self.preprocess(images, generator), labels) for images, labels in batches.in_order()
        )
        return predict_logits(self.model, preprocessed, self.autocast)

    def _keep_if_best(self, number: int, validation: Evaluation) -> bool:
        # On a small validation split accuracies tie; the loss then decides.
        rank = (validation.accuracy, -validation.loss)
        if self.config.protocol.result == "last":
            rank = (float(number), 0.0)
        if rank <= self._best_rank:
            return False
        self._best_rank = rank
        self.best_weights = {
            name: tensor.detach().to("cpu", copy=True)
            for name, tensor in self.model.state_dict().items()
        }
        return True


def seed_everything(seed: int) -> None:
    """Seed what draws from torch's global generators: the head's weights, dropout."""
    torch.manual_seed(seed)


def _seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Seed each epoch by its number, so that an epoch draws the same whatever came before it."""
    epoch_seed = _epoch_seed(seed, epoch)
    seed_everything(epoch_seed)
    return torch.Generator().manual_seed(epoch_seed)


def _epoch_seed(seed: int, epoch: int) -> int:
    return seed * 1_000_003 + epoch


def _learning_rates(optimizer: Optimizer) -> tuple[float, float]:
    rates = [group["lr"] for group in optimizer.param_groups]
    return rates[0], rates[1] if len(rates) > 1 else 0.0


def _require_finite(losses: list[float], epoch: int, optimizer: Optimizer) -> None:
    for iteration, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            rate = _learning_rates(optimizer)[0]
            raise TrainingDivergedError(
                f"the loss became {loss} in epoch {epoch}, iteration {iteration}, at a learning "
                f"rate of {rate:g}; try a lower optimizer.lr or unfreeze_lr"
            )
