"""What a test set says of a classifier, all of it from saved logits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Evaluation:
    """Measures over one split.

    Attributes:
        accuracy: share of images whose largest logit is the label's, 0 to 1.
        balanced_accuracy: the same within each class, and its mean over the classes that have
            images, 0 to 1: each class counts alike, however many images it has.
        loss: mean cross-entropy in nats.
        ece: expected calibration error, 0 to 1, over 15 bins of equal width (Guo et al. 2017,
            https://arxiv.org/abs/1706.04599).
    """

    accuracy: float
    balanced_accuracy: float
    loss: float
    ece: float


def evaluate_logits(logits: Tensor, labels: Tensor) -> Evaluation:
    """Measure float [N, K] logits against int64 [N] labels, N at least 1."""
    correct = logits.argmax(dim=1) == labels
    return Evaluation(
        accuracy=correct.double().mean().item(),
        balanced_accuracy=_mean_over_classes(correct, labels),
        loss=F.cross_entropy(logits.double(), labels).item(),
        ece=calibration_error(logits, labels),
    )


def _mean_over_classes(correct: Tensor, labels: Tensor) -> float:
    sizes = labels.bincount()
    found = labels[correct].bincount(minlength=len(sizes))
    present = sizes > 0
    return (found[present].double() / sizes[present]).mean().item()


def result_of(select_by: str, metrics: Mapping[str, float]) -> float:
    """The one number that a training gives: its best epoch's score on the validation images, the
    loss with its sign turned, so that more is better.

    Args:
        select_by: acc, balanced_acc or loss.
        metrics: what the training has once, by their names, `best/val_…` among them.
    """
    score = metrics[f"best/val_{select_by}"]
    return -score if select_by == "loss" else score


def calibration_error(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over bins of confidence, weighted by their size."""
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    correct = (predicted == labels).double()
    # Bins are (lower, upper]; a confidence of 1 belongs to the last.
    index = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    gaps = torch.zeros(bins, dtype=torch.double, device=logits.device)
    gaps.index_add_(0, index, confidence - correct)
    return gaps.abs().sum().item() / len(labels)


def evaluation_batch_size(image_size: int) -> int:
    """Images of so many pixels that go through a network at a time: without gradients more fit into
    memory, and small ones are faster in large batches."""
    return max(1, min(256, 2**20 // image_size**2))


@torch.inference_mode()
def predict_logits(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], autocast: torch.autocast
) -> tuple[Tensor, Tensor]:
    """Run `model` in evaluation mode over preprocessed batches.

    Args:
        batches: float [B, 3, H, W] and int64 [B].
        autocast: the precision to compute in.

    Returns:
        float32 logits [N, K] and int64 labels [N], on the CPU.
    """
    model.eval()
    logits, labels = [], []
    for images, target in batches:
        with autocast:
            logits.append(model(images).float())
        labels.append(target)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()
