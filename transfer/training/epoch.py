"""What one pass over the training images gave."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.system.errors import UserError


class TrainingDivergedError(UserError):
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
        train_images_per_second: in the training part alone.
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

    @property
    def metrics(self) -> dict[str, float]:
        """What is logged of it, by name."""
        return {
            "train/loss": self.train_loss,
            "train/acc": self.train_accuracy,
            "val/loss": self.val_loss,
            "val/acc": self.val_accuracy,
            "lr/head": self.head_lr,
            "lr/backbone": self.backbone_lr,
            "time/epoch_s": self.seconds,
        }

    def __str__(self) -> str:
        return (
            f"epoch {self.number:3d} {'frozen' if self.frozen else '      '}  "
            f"train loss {self.train_loss:.3f} acc {100 * self.train_accuracy:5.1f} %  "
            f"val loss {self.val_loss:.3f} acc {100 * self.val_accuracy:5.1f} %"
            f"{' *' if self.best else '  '}  {self.seconds:.1f} s"
        )
