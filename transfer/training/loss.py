"""The loss of training: cross-entropy, of labels or of shares of classes, each class weighted."""

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.evaluate.metrics import Evaluation


def training_loss(
    logits: Tensor, targets: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Mean cross-entropy in nats over a batch.

    An image counts as its class does, or, where it is a mixture, as its classes do in their shares.
    The mean is over images, whatever they count: the step of a batch of rare images is a long one.

    Args:
        logits: float32 [B, K].
        targets: int64 [B] labels, or float [B, K] shares of the classes, which sum to 1.
        weights: float32 [K], of `class_weights`; None: all images count alike.
        smoothing: share of each target that is spread over all classes (Szegedy et al. 2016,
            https://arxiv.org/abs/1512.00567, section 7), at least 0 and below 1.
    """
    if weights is None:
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    # With weights of its own, torch divides labels' losses by their sum and shares' by the number.
    losses = F.cross_entropy(logits, targets, label_smoothing=smoothing, reduction="none")
    counts = targets.to(weights.dtype) @ weights if targets.ndim > 1 else weights[targets]
    return (counts * losses).mean()


def steering_loss(
    validation: Evaluation, logits: Tensor, labels: Tensor, weights: Tensor | None
) -> float:
    """The validation loss that a schedule listens to: the one that training brings down, without
    label smoothing, in which each class counts as it does there. Where rare classes count more, the
    loss of images that all count alike may rise while the training still gets on.

    Args:
        validation: measures of these logits; its loss is the result where all images count alike.
        logits, labels: of the validation images, float [N, K] and int64 [N], on the CPU.
        weights: float32 [K], of `class_weights`.
    """
    if weights is None:
        return validation.loss
    return training_loss(logits.double(), labels, weights.double()).item()


def class_weights(kind: str, labels: Tensor, classes: int) -> Tensor | None:
    """What an image of each class counts.

    Args:
        kind: "none", or "balanced", by which all classes count alike: scikit-learn's
            N / (K x images of the class), whose mean over images is 1 (King and Zeng 2001, Logistic
            Regression in Rare Events Data, section 4.2).
        labels: int64 [N], of the training images, on the CPU.

    Returns:
        float32 [classes], on the CPU; 0 for a class without images, of which K counts none. None
        where all images count alike.
    """
    if kind == "none":
        return None
    sizes = torch.bincount(labels, minlength=classes).double()
    present = sizes > 0
    weights = len(labels) / (present.sum() * sizes.clamp(min=1))
    return (weights * present).float()
