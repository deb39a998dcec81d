"""What a training batch goes through: augmentation, mixture, network, loss."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from transfer.augment import Preprocess
from transfer.augment.mixing import mix, random_mixtures
from transfer.training.loss import training_loss


class BatchPass:
    """From a batch to its loss.

    Args:
        network: float [B, …] gives logits [B, K].
        preprocess: of stored images; None where the network reads stored features.
        classes: K.
        weights: float32 [K], what an image of each class counts; None: all alike.
        smoothing: of the labels.
        autocast: the precision to compute in.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocess: Preprocess | None,
        classes: int,
        *,
        weights: Tensor | None = None,
        smoothing: float = 0.0,
        autocast: torch.autocast,
    ) -> None:
        self._network = network
        self._preprocess = preprocess
        # What differs from batch to batch is done while the batch is drawn.
        self._ahead = preprocess is not None and not preprocess.repeats
        self._classes = classes
        self._weights = weights
        self._smoothing = smoothing
        self._autocast = autocast

    @property
    def repeats(self) -> bool:
        """Whether the next pass reads the tensors that this one did.

        A layer that keeps tensors beside its parameters and buffers may replace them, as timm's
        TinyViT does with the biases of its attention whenever a mode is set.
        """
        return not any(
            isinstance(each, Tensor)
            for module in self._network.modules()
            for kept in vars(module).values()
            for each in (kept.values() if type(kept) is dict else (kept,))
            if kept is not module._parameters and kept is not module._buffers
        )

    def draw(self, inputs: Tensor, labels: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """A batch with all that is random about it, which is drawn on the CPU.

        Args:
            inputs: uint8 [B, 3, h, w] as images are stored, or features.
            labels: int64 [B].
            generator: CPU generator.
        """
        batch = {"inputs": inputs, "labels": labels}
        if self._preprocess is None:
            return batch
        draws = self._preprocess.draw(inputs, generator)
        if self._ahead:
            batch["inputs"] = self._preprocess(inputs, draws)
        else:
            batch |= draws
        config, size = self._preprocess.config, self._preprocess.image_size
        return batch | random_mixtures(len(inputs), size, size, config, generator)

    def __call__(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The mean loss of a drawn batch, and how many of its images were classified correctly.

        Of a mixture, the class with the largest share is the right answer.
        """
        inputs, targets = batch["inputs"], batch["labels"]
        if self._preprocess is not None and not self._ahead:
            inputs = self._preprocess(inputs, batch)
        inputs, targets = mix(inputs, targets, self._classes, batch)
        with self._autocast:
            logits = self._network(inputs).float()
        loss = training_loss(logits, targets, self._weights, self._smoothing)
        labels = targets.argmax(dim=1) if targets.ndim > 1 else targets
        return loss, (logits.detach().argmax(dim=1) == labels).sum()
