"""What passes over the training images give: while they last, when they are over, all together."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import torch
from torch import Tensor

from transfer.evaluate.metrics import Evaluation, result_of
from transfer.system.errors import UserError
from transfer.system.seeds import numbered_generator


class TrainingDivergedError(UserError):
    """The loss became NaN or infinite; the message says when and at which learning rate."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    Attributes:
        number: from 1.
        head_alone: whether nothing but the head trained.
        train_loss, train_accuracy: over the augmented batches, as they were trained on.
        val_loss, val_accuracy, val_balanced_accuracy: over the validation split, after the epoch.
        head_lr, backbone_lr: at the epoch's first iteration; backbone_lr is 0 where the head trains
            alone.
        seconds: training and validation.
        train_images_per_second: in the training part alone.
        iteration_losses: every batch's loss, in order.
        best: whether validation was better than in every epoch before.
    """

    number: int
    head_alone: bool
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_balanced_accuracy: float
    head_lr: float
    backbone_lr: float
    seconds: float
    train_images_per_second: float
    iteration_losses: list[float]
    best: bool

    @property
    def metrics(self) -> dict[str, float]:
        """What is logged of it, by name."""
        return {
            "train/loss": self.train_loss,
            "train/acc": self.train_accuracy,
            "val/loss": self.val_loss,
            "val/acc": self.val_accuracy,
            "val/balanced_acc": self.val_balanced_accuracy,
            "lr/head": self.head_lr,
            "lr/backbone": self.backbone_lr,
            "time/epoch_s": self.seconds,
        }

    def __str__(self) -> str:
        part = "head alone" if self.head_alone else ""
        return (
            f"epoch {self.number:3d} {part:10}  "
            f"train loss {self.train_loss:.3f} acc {100 * self.train_accuracy:5.1f} %  "
            f"val loss {self.val_loss:.3f} acc {100 * self.val_accuracy:5.1f} %"
            f"{' *' if self.best else '  '}  {self.seconds:.1f} s"
        )


def is_best(validation: Evaluation, history: Sequence[Epoch], select_by: str = "acc") -> bool:
    """Whether validation is better than after every epoch before.

    Args:
        select_by: acc, balanced_acc or loss. The loss decides between equal accuracies, as they
            are common on a small split.
    """
    measures = (validation.accuracy, validation.balanced_accuracy, validation.loss)
    best = [
        (epoch.val_accuracy, epoch.val_balanced_accuracy, epoch.val_loss)
        for epoch in history
        if epoch.best
    ]
    return not best or _score(select_by, *measures) > _score(select_by, *best[-1])


def _score(select_by: str, accuracy: float, balanced: float, loss: float) -> tuple[float, float]:
    scores = {"acc": accuracy, "balanced_acc": balanced, "loss": -loss}
    return scores[select_by], -loss


def best_metrics(history: Sequence[Epoch]) -> dict[str, float]:
    """Which epoch was the best on validation so far, and its measures there."""
    best = [epoch for epoch in history if epoch.best][-1]
    return {
        "best/val_acc": best.val_accuracy,
        "best/val_balanced_acc": best.val_balanced_accuracy,
        "best/val_loss": best.val_loss,
        "best/epoch": best.number,
    }


def best_score(select_by: str, history: Sequence[Epoch]) -> float:
    """What a training gives after these epochs, as `result_of` has it; more is better."""
    return result_of(select_by, best_metrics(history))


def summary_metrics(
    history: Sequence[Epoch], test: Evaluation, train: Evaluation
) -> dict[str, float]:
    """The figures that a training has once: accuracy and its kin, as fractions; loss in nats; times
    in seconds.

    Args:
        history: every epoch.
        test: measures of the weights that were best on validation.
        train: the same of training images.
    """
    speeds = [epoch.train_images_per_second for epoch in history]
    return {
        "best/train_acc": train.accuracy,
        **best_metrics(history),
        "test/acc": test.accuracy,
        "test/balanced_acc": test.balanced_accuracy,
        "test/loss": test.loss,
        "test/ece": test.ece,
        "time/train_s": sum(epoch.seconds for epoch in history),
        "throughput/train_img_s": statistics.median(speeds),
    }


@dataclass
class UnfinishedEpoch:
    """The training part of an epoch, as far as it has come: what a continuation starts from.

    Attributes:
        number: the epoch's, from 1.
        losses: float32 [iterations of the whole epoch], zeros from `iteration` on.
        correct: images that were classified correctly, int64.
        iteration: batches done.
        seen: images in them.
        seconds: training time, earlier processes included.
        rates: learning rates of the head and the backbone in each iteration.
        generators: states of the random generators after the last batch, where another process
            left off; None once this one goes on from them.
    """

    number: int
    # Filled in place: on the device, for reading a number would make a GPU wait; and without a
    # tensor an iteration, which would lie between the large blocks that the allocator reuses.
    losses: Tensor
    correct: Tensor
    iteration: int = 0
    seen: int = 0
    seconds: float = 0.0
    rates: list[tuple[float, float]] = field(default_factory=list)
    generators: dict[str, Tensor] | None = None

    @classmethod
    def first(cls, number: int, iterations: int, device: torch.device) -> Self:
        """Before its first batch."""
        losses = torch.zeros(iterations, device=device)
        return cls(number, losses, torch.zeros((), dtype=torch.long, device=device))

    @classmethod
    def from_state(cls, state: dict[str, Any], device: torch.device) -> Self:
        """What `state()` gave, in this process or another."""
        tensors = {name: state[name].to(device) for name in ("losses", "correct")}
        return cls(**(state | tensors))

    def state(self, generators: dict[str, Tensor]) -> dict[str, Any]:
        """All of it as tensors, numbers, lists and tuples."""
        return vars(self) | {"generators": generators}

    def count(self, loss: Tensor, correct: Tensor, images: int, rates: tuple[float, float]) -> None:
        """Take in a batch: its mean loss, float [], how many of so many images were classified
        correctly, int64 [], and the learning rates."""
        self.losses[self.iteration] = loss
        self.correct += correct
        self.rates.append(rates)
        self.seen += images
        self.iteration += 1

    @property
    def finite(self) -> bool:
        """Whether every loss so far is a number."""
        return bool(self.losses.isfinite().all())

    def finished(self) -> list[float]:
        """Every iteration's loss.

        Raises:
            TrainingDivergedError: one is NaN or infinite; the first is named.
        """
        losses: list[float] = self.losses[: self.iteration].tolist()
        for index, loss in enumerate(losses):
            moment = f"epoch {self.number}, iteration {index + 1}"
            require_finite(loss, "the loss", moment, self.rates[index][0])
        return losses

    def validated(
        self,
        losses: list[float],
        validation: Evaluation,
        *,
        head_alone: bool,
        images: int,
        seconds: float,
        best: bool,
    ) -> Epoch:
        """What the whole epoch gave.

        Args:
            losses: what `finished` gave.
            images: of the training split.
            seconds: training and validation.
        """
        head_lr, backbone_lr = self.rates[0]
        return Epoch(
            number=self.number,
            head_alone=head_alone,
            train_loss=sum(losses) / len(losses),
            train_accuracy=self.correct.item() / self.seen,
            val_loss=validation.loss,
            val_accuracy=validation.accuracy,
            val_balanced_accuracy=validation.balanced_accuracy,
            head_lr=head_lr,
            backbone_lr=backbone_lr,
            seconds=seconds,
            train_images_per_second=images / self.seconds,
            iteration_losses=losses,
            best=best,
        )


def require_finite(loss: float, name: str, moment: str, rate: float) -> None:
    """Raise TrainingDivergedError where a loss is NaN or infinite.

    Args:
        rate: the head's learning rate.
    """
    if not math.isfinite(loss):
        raise TrainingDivergedError(
            f"{name} became {loss} in {moment}, at a learning rate of {rate:g}; try a lower "
            "optimizer.lr (or, where the head trains alone, optimizer.head_lr)"
        )


def generators(own: torch.Generator, device: torch.device) -> dict[str, torch.Generator]:
    """All that an epoch draws from: its own generator, and torch's global ones (dropout)."""
    every = {"epoch": own, "cpu": torch.default_generator}
    if device.type == "cuda":
        every["cuda"] = torch.cuda.default_generators[device.index or 0]
    elif device.type == "mps":
        every["mps"] = torch.mps._get_default_mps_generator()
    return every


def seed_epoch(seed: int, epoch: int) -> torch.Generator:
    """Seed each epoch by its number, so that an epoch draws the same whatever came before it.

    Returns:
        what the order of the images and their augmentation are drawn from. Dropout draws from
        torch's global generators.
    """
    generator = numbered_generator(seed, epoch)
    torch.manual_seed(generator.initial_seed())
    return generator
