"""What a network answers about the images of a split."""

from contextlib import closing

import torch
from torch import Tensor, nn

from transfer.augment import Preprocess
from transfer.config import Config
from transfer.data import Batches
from transfer.evaluate.metrics import predict_logits
from transfer.system.device import autocast
from transfer.system.seeds import numbered_generator


class Evaluator:
    """Runs networks over a job's images in evaluation mode.

    Args:
        preprocess: turns stored images into what a network reads; images are augmented in it where
            `protocol.augment_evaluation_of` names the job's model.
        config: the job, with `precision` resolved.
        device: where the networks are.
    """

    def __init__(self, preprocess: Preprocess, config: Config, device: torch.device) -> None:
        self._preprocess = preprocess
        self._config = config
        self._autocast = autocast(device, config.precision)

    def logits(self, model: nn.Module, images: Batches, epoch: int) -> tuple[Tensor, Tensor]:
        """Logits of a whole model on images.

        Args:
            epoch: after which it is evaluated; augmentation, if any, is drawn by this number.

        Returns:
            Float32 logits [N, K] and int64 labels [N], on the CPU.
        """
        config, generator = self._config, None
        if config.model.name in config.protocol.augment_evaluation_of:
            generator = numbered_generator(config.seed, epoch)
        with closing(images.in_order()) as ordered:
            preprocessed = (
                (self._preprocess(batch, self._preprocess.draw(batch, generator)), labels)
                for batch, labels in ordered
            )
            return predict_logits(model, preprocessed, self._autocast)

    def logits_of_features(
        self, network: nn.Module, images: Batches, features: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same of the last part of a model.

        Args:
            features: float [N, …], what the part before it gave for each of the images, in order.
        """
        return predict_logits(network, images.with_inputs(features).in_order(), self._autocast)
