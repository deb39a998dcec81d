"""The training loop: phases, epochs, batches. Knows no files and no MLflow."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

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
from transfer.optim import Schedule, build_optimizer
from transfer.phases import Phase, plan_phases, set_training_mode


class TrainingDivergedError(RuntimeError):
    """The loss became NaN or infinite; the message says when and at which learning rate."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    Attributes:
        number: from 1.
        train_loss, train_accuracy: over the augmented batches, as they were trained on.
        val_loss, val_accuracy: over the validation split, after the epoch.
        head_lr, backbone_lr: at the epoch's first iteration; backbone_lr is 0 while frozen.
        seconds: training and validation.
        train_images_per_second: of the training part alone.
        iteration_losses: every batch's loss, in order.
        best: whether validation was better than in every epoch before.
    """

    number: int
    frozen: bool
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    head_lr: float
    backbone_lr: float
    seconds: float
    train_images_per_second: float
    iteration_losses: list[float]
    best: bool

    def __str__(self) -> str:
        return (
            f"epoch {self.number:3d} {'frozen' if self.frozen else '      '}  "
            f"train loss {self.train_loss:.3f} acc {100 * self.train_accuracy:5.1f} %  "
            f"val loss {self.val_loss:.3f} acc {100 * self.val_accuracy:5.1f} %"
            f"{' *' if self.best else '  '}  {self.seconds:.1f} s"
        )


class Trainer:
    """Trains `model` in place over the phases of `config`.

    Args:
        model: on `device`; its head fits the data's classes.
        data: training and validation splits; the test split waits for `test_logits`.
        config: the job, with `precision` resolved.
        device: where the data goes and the arithmetic is done.
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
        self.best_weights: dict[str, Tensor] = {}
        self._best_rank = (-math.inf, -math.inf)

    @property
    def total_iterations(self) -> int:
        """Training batches of all epochs."""
        return self.config.epochs * self.train.training_batches()

    def epochs(self) -> Iterator[Epoch]:
        """Train; yields after each epoch, with `best_weights` up to date."""
        for phase in plan_phases(self.config):
            optimizer = build_optimizer(self.model, phase, self.config.optimizer)
            iterations = self.train.training_batches()
            schedule = Schedule(optimizer, phase, iterations, self.config.schedule)
            for number in range(phase.first_epoch, phase.last_epoch + 1):
                yield self._run_epoch(number, phase, optimizer, schedule)

    def test_logits(self) -> tuple[Tensor, Tensor]:
        """Read the test set, with the weights that were best on validation: logits and labels."""
        self.model.load_state_dict(self.best_weights)
        return self._logits(Batches(self.data.test, self.config.batch_size, self.device))

    def _run_epoch(
        self, number: int, phase: Phase, optimizer: Optimizer, schedule: Schedule
    ) -> Epoch:
        start = time.perf_counter()
        rates = _learning_rates(optimizer)
        losses, accuracy = self._train_epoch(number, phase, optimizer, schedule)
        train_seconds = time.perf_counter() - start
        validation = evaluate_logits(*self._logits(self.val))
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
            best=self._keep_if_best(validation),
        )

    def _train_epoch(
        self, number: int, phase: Phase, optimizer: Optimizer, schedule: Schedule
    ) -> tuple[list[float], float]:
        """One pass over the training images: every iteration's loss, and the accuracy."""
        generator = _seed_epoch(self.config.seed, number)
        set_training_mode(self.model, phase)
        losses, correct, seen = [], [], 0
        batches = tqdm(
            self.train.shuffled(generator),
            total=self.train.training_batches(),
            desc=f"epoch {number}/{self.config.epochs}",
            leave=False,
            disable=None,  # quiet when not a terminal
        )
        for images, labels in batches:
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
            # Kept on the device: reading a number would make a GPU wait at each iteration.
            losses.append(loss.detach())
            correct.append((logits.detach().argmax(dim=1) == labels).sum())
            seen += len(labels)
        values = torch.stack(losses).tolist()
        _require_finite(values, number, optimizer)
        return values, torch.stack(correct).sum().item() / seen

    def _logits(self, batches: Batches) -> tuple[Tensor, Tensor]:
        preprocessed = ((self.preprocess(images), labels) for images, labels in batches.in_order())
        return predict_logits(self.model, preprocessed, self.autocast)

    def _keep_if_best(self, validation: Evaluation) -> bool:
        # On a small validation split accuracies tie; the loss then decides.
        rank = (validation.accuracy, -validation.loss)
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
    epoch_seed = seed * 1_000_003 + epoch
    seed_everything(epoch_seed)
    return torch.Generator().manual_seed(epoch_seed)


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
