"""BatchNorm's running statistics, which evaluation uses, in trainings shorter than their memory.

A layer's statistics remember about 1/momentum iterations. torchvision gives MobileNetV3 and the
larger EfficientNets a momentum of 0.01 and MNASNet 0.0003, for the hundred thousand iterations of a
training on ImageNet. In a short training such statistics are those of weights that have long moved
on: the network is right on batches and wrong in evaluation, and a schedule that listens to
validation gives up on it. docs/batchnorm.md has the figures.
"""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

# What torch's layers have unless told otherwise: more would be noise.
_LARGEST = 0.1
# What the statistics remember at most, as a share of an epoch.
_MEMORY = 0.5


class BatchNormMomentum:
    """The momentum of every BatchNorm layer of a model, fitted to a short training.

    Fitted, a layer forgets within half an epoch, or within ten iterations where those are more; one
    that forgets faster stays as it is. Statistics that no batch has gone into, of a model from
    random weights, first average over all batches alike, so that their arbitrary start is gone at
    once.

    Args:
        model: with its initial weights.
        kind: "fitted", or "published", which leaves the layers as they are.
        iterations: training batches an epoch, 1 or more.
    """

    def __init__(self, model: nn.Module, kind: str, iterations: int) -> None:
        least = min(_LARGEST, 1 / (_MEMORY * iterations))
        self._layers: list[tuple[_BatchNorm, float, bool]] = []
        for module in model.modules() if kind == "fitted" else ():
            # A layer without a momentum averages over all batches alike, and goes on so.
            if isinstance(module, _BatchNorm) and module.momentum is not None:
                self._layers.append((module, max(module.momentum, least), _is_fresh(module)))

    def before_iteration(self, done: int) -> None:
        """Set the momenta for the next batch.

        Args:
            done: iterations in which these layers have trained, 0 or more.
        """
        for layer, momentum, fresh in self._layers:
            layer.momentum = max(momentum, 1 / (done + 1)) if fresh else momentum


def _is_fresh(layer: _BatchNorm) -> bool:
    """Whether the statistics are those that a layer is made with. Files of weights often lack the
    count of batches, so that does not tell."""
    mean, variance = layer.running_mean, layer.running_var
    return (
        mean is not None and variance is not None and not mean.any() and bool((variance == 1).all())
    )
